"""`lab bench gan`: training steps at every stage against their bare convolutions."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.table import Table
from torch import Tensor

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.cost import Conv, convolutions
from gans.progressive.growth import Stage, level_of
from gans.progressive.precision import training_device
from gans.progressive.trainer import GrowingTrainer
from lab.cli.arguments import Json, print_json
from lab.config.loading import validate
from lab.data.batches import Batches
from lab.data.images import ImageSet
from lab.run.bench import compare, environment, peak_memory_mb, rate
from lab.terminal.consoles import Console
from lab.train import device as devices
from lab.train.device import Device
from lab.train.measured_precision import PrecisionChoices

_IMAGES = 512  # random images, enough for batches to differ


@dataclass(frozen=True)
class StageSpeed:
    """Images shown per second by training steps and by their bare convolutions, and the ratio of the two."""

    resolution: int
    alpha: float
    images_per_s: float
    bare_images_per_s: float
    ratio_to_bare: float


def bench_gan(
    resolution: Annotated[int, typer.Option(help="Highest resolution.")] = 32,
    fmap_base: Annotated[int, typer.Option(min=1, help="Channels times half the resolution.")] = 4096,
    fmap_max: Annotated[int, typer.Option(min=1, help="Most channels.")] = 128,
    latent: Annotated[int, typer.Option(min=1, help="Size of the latents.")] = 128,
    batch: Annotated[int, typer.Option(min=1, help="Images per step.")] = 16,
    loss: Annotated[str, typer.Option(help="wgan-gp, non-saturating or relativistic.")] = "wgan-gp",
    channels: Annotated[int, typer.Option(min=1, help="Channels of an image.")] = 3,
    only_last: Annotated[bool, typer.Option("--only-last", help="Only the highest resolution.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Per stage and round.")] = 4.0,
    as_json: Json = False,
) -> None:
    """Measure training steps (both networks, penalty included) on random images.

    Bare: the forward, backward and double-backward calls of the paper's convolutions, of the same shapes,
    and nothing else. Convolutions on enlarged maps are counted at their full size.
    """
    settings: dict[str, Any] = {
        "budget": 1,
        "network": {
            "resolution": resolution,
            "channels": channels,
            "fmap_base": fmap_base,
            "fmap_max": fmap_max,
            "latent": latent,
        },
        "growth": {"fade_images": 1000, "stable_images": 1000},
        "loss": {"name": loss},
        "training": {"batch_size": batch},
    }
    config = validate(ProgressiveGANConfig, settings, "bench gan")
    target = devices.apply(devices.resolve(device, precision, threads))
    choices = PrecisionChoices(None, target)
    target = training_device(choices, config, target)
    if not as_json:
        choices.report()
    torch.manual_seed(config.seed)
    levels = range(level_of(resolution) if only_last else 0, level_of(resolution) + 1)
    stages = [Stage(level, 4 * 2**level, alpha) for level in levels for alpha in ((0.5, 1.0) if level else (1.0,))]
    measured = [measure(config, target, stage, seconds) for stage in stages]
    record = environment(target) | {
        "batch": batch,
        "loss": loss,
        "stages": [asdict(speed) for speed in measured],
        "data_images_per_s": _data_rate(config, target, seconds),
        "peak_memory_mb": peak_memory_mb(),
    }
    print_json(record) if as_json else _print(record, measured)


def measure(config: ProgressiveGANConfig, device: Device, stage: Stage, seconds: float) -> StageSpeed:
    """Median speeds of training steps and bare convolutions, measured alternately."""
    trainer, batch = GrowingTrainer(config, device), config.training.batch_size
    into = int(stage.alpha * config.growth.fade_images) if stage.alpha < 1.0 else config.growth.fade_images
    phase = config.growth.fade_images + config.growth.stable_images
    at = config.growth.stable_images + (stage.level - 1) * phase + into if stage.level else 0
    shape = (batch, config.network.channels, config.network.resolution, config.network.resolution)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device.device)

    def step() -> None:
        trainer.trainer.shown = at  # keeps the stage
        trainer.step(images)

    compared = compare(step, _bare_step(config, stage, device), seconds, device)
    speeds = (compared.calls_per_s * batch, compared.bare_calls_per_s * batch)
    return StageSpeed(stage.resolution, stage.alpha, *speeds, compared.ratio)


def _bare_step(config: ProgressiveGANConfig, stage: Stage, device: Device) -> Callable[[], None]:
    """The convolution calls of one training step, on constant tensors of the same shapes."""
    batch, loss = config.training.batch_size, config.loss
    generator, discriminator = convolutions(config, stage)
    every = loss.lazy if loss.name == "non-saturating" else 1
    penalised = 2 * batch if loss.name == "relativistic" else batch
    calls: list[Callable[[], object]] = []
    of_penalty: list[Callable[[], object]] = []
    for layer in generator:
        once = _Calls(layer, batch, device)
        calls += [once.forward, once.forward, once.backward]
    for layer in discriminator:
        joined = _Calls(layer, 2 * batch, device)
        calls += [joined.forward, joined.backward]
        once = _Calls(layer, batch, device)
        calls += [once.forward, once.backward_to_input]
        through = joined if penalised == 2 * batch else once
        extra = [through.backward_to_input, through.forward, through.weight]
        if loss.name == "wgan-gp":  # mixed images, and statistics whose second derivative is not zero
            extra += [through.forward, through.backward]
        of_penalty += extra
    if every == 1:
        calls += of_penalty

    count = 0

    def step() -> None:
        nonlocal count
        for call in calls:
            call()
        if every > 1 and count % every == 0:
            for call in of_penalty:
                call()
        count += 1

    return step


class _Calls:
    """Forward and backward calls of one convolution on constant tensors."""

    def __init__(self, layer: Conv, batch: int, device: Device) -> None:
        bf16 = device.precision == "bf16"

        def random(*shape: int) -> Tensor:
            values = torch.randn(*shape, device=device.device, dtype=torch.bfloat16 if bf16 else torch.float32)
            return values.contiguous(memory_format=torch.channels_last)  # as in training

        self._x = random(batch, layer.inputs, layer.side, layer.side)
        self._y = random(batch, layer.outputs, layer.side, layer.side)
        self._weight = random(layer.outputs, layer.inputs, layer.kernel, layer.kernel)
        self._bias = torch.zeros(layer.outputs, device=device.device, dtype=self._x.dtype)
        self._padding, self._first = layer.kernel // 2, layer.first

    def forward(self) -> Tensor:
        return torch.conv2d(self._x, self._weight, self._bias, padding=self._padding)

    def backward(self) -> object:
        return self._gradients([not self._first, True, True])

    def backward_to_input(self) -> object:
        return self._gradients([True, False, False])

    def weight(self) -> object:
        return self._gradients([False, True, False])

    def _gradients(self, wanted: list[bool]) -> object:
        sides, ones = [self._padding] * 2, [1, 1]
        return torch.ops.aten.convolution_backward(
            self._y, self._x, self._weight, [len(self._bias)], ones, sides, ones, False, [0, 0], 1, wanted
        )


def _data_rate(config: ProgressiveGANConfig, device: Device, seconds: float) -> float:
    """uint8 images on the device per second of the input pipeline, from memory."""
    side, batch = config.network.resolution, config.training.batch_size
    pixels = np.random.default_rng(0).integers(0, 256, (_IMAGES, config.network.channels, side, side), dtype=np.uint8)
    batches, shown = Batches(ImageSet("random", pixels, None, (), ""), device.device, config.seed), 0

    def take() -> None:
        nonlocal shown
        batches.at(shown, batch)
        shown += batch

    try:
        return rate(take, min(seconds, 2.0), device) * batch
    finally:
        batches.close()


def _print(record: dict[str, Any], measured: list[StageSpeed]) -> None:
    title = f"{record['loss']}, batch {record['batch']}, {record['device']}, {record['precision']}"
    table = Table(title=f"{title}, {record['threads']} threads")
    for column in ("resolution", "alpha", "images/s", "bare", "ratio"):
        table.add_column(column, justify="right")
    for speed in measured:
        row = (f"{speed.alpha:.1f}", f"{speed.images_per_s:,.1f}", f"{speed.bare_images_per_s:,.1f}")
        table.add_row(str(speed.resolution), *row, f"{speed.ratio_to_bare:.2f}")
    console = Console()
    console.print(table)
    peak = record["peak_memory_mb"]
    memory = "" if peak is None else f"; peak memory {peak:,.0f} MB"
    console.print(f"data: {record['data_images_per_s']:,.0f} images/s{memory}")
