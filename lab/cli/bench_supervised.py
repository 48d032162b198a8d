"""`lab bench supervised`: training steps of a preset against a bare loop over the same network."""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from lab.cli.arguments import Json, Overrides, RunsDir, print_json
from lab.data.batches import Batches
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR
from lab.run.named_runs import load_by_path
from lab.run.progress import memory_mb
from lab.supervised.config import SupervisedConfig
from lab.supervised.experiment import Supervised
from lab.supervised.tasks import Batch, as_inputs
from lab.train import device as devices
from lab.train import random_state
from lab.train.device import Device, autocast
from lab.train.step import make_optimizer

_ROUNDS = 3  # of step and bare in turns; medians are compared


def bench_supervised(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A supervised preset.", show_default=False)],
    overrides: Overrides = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Per round.")] = 4.0,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Measure whole training steps, data and augmentation included, and what they cannot do without.

    Bare: forward, loss, backward and optimizer of a copy of the network on one batch that lies ready on the device.
    """
    config = load_by_path(preset, overrides or [], runs_dir)
    if not isinstance(config, SupervisedConfig):
        raise UserError(f"{preset} is of kind {config.kind!r}, not supervised")
    place = devices.resolve(config.device, config.precision, config.threads)
    devices.apply(place)
    random_state.seed_everything(config.seed)
    with tempfile.TemporaryDirectory() as folder:
        experiment = Supervised(config, Path(folder) / "run", place)
        bare = _bare_step(experiment, place)
        experiment.network.train()
        experiment.step()  # the first calls choose kernels
        bare()
        rates = [(_rate(experiment.step, seconds, place), _rate(bare, seconds, place)) for _ in range(_ROUNDS)]
        data = _rate(_data_step(experiment), min(seconds, 2.0), place)
    ours, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    batch = config.training.batch_size
    record = {
        "device": str(place.device),
        "threads": torch.get_num_threads(),
        "precision": place.precision,
        "batch": batch,
        "images_per_s": ours * batch,
        "bare_images_per_s": theirs * batch,
        "ratio_to_bare": statistics.median(one / other for one, other in rates),
        "data_images_per_s": data * batch,
        "peak_memory_mb": max(memory_mb().values()),
    }
    if as_json:
        print_json(record)
        return
    Console(highlight=False).print(
        f"{preset}, batch {batch}, {place.device}, {torch.get_num_threads()} threads: {ours * batch:,.0f} images/s, "
        f"{record['ratio_to_bare']:.2f} of the bare loop's {theirs * batch:,.0f}; data alone {data * batch:,.0f}",
        soft_wrap=True,
    )


def _bare_step(experiment: Supervised, device: Device) -> Callable[[], object]:
    network = copy.deepcopy(experiment.network).train()
    optimizer = make_optimizer(network, experiment.config.training)
    inputs, targets = Batches(experiment.train, device.device, 0).at(0, experiment.config.training.batch_size)
    assert targets is not None
    which = torch.arange(len(inputs), device=device.device)
    batch = Batch(as_inputs(inputs), targets, which)

    def step() -> None:
        with autocast(device):
            total, weight = experiment.task.losses(network, batch)
        optimizer.zero_grad(set_to_none=True)
        (total / weight).backward()
        optimizer.step()

    return step


def _data_step(experiment: Supervised) -> Callable[[], object]:
    shown = 0

    def step() -> None:
        nonlocal shown
        experiment.batches.at(shown)
        shown += experiment.config.training.batch_size

    return step


def _rate(work: Callable[[], object], seconds: float, device: Device) -> float:
    """Calls per second."""
    calls, start = 0, time.perf_counter()
    while calls < 2 or time.perf_counter() - start < seconds:
        work()
        calls += 1
        if device.device.type == "cuda" and calls % 8 == 0:
            torch.cuda.synchronize(device.device)
    if device.device.type == "cuda":
        torch.cuda.synchronize(device.device)
    return calls / (time.perf_counter() - start)
