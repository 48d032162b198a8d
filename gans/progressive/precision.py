"""Precision of the gradient steps of growing networks, measured with networks like the run's own."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from gans.losses import AdversarialLoss, Batch
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.cost import operations
from gans.progressive.growth import level_of
from gans.progressive.network import Discriminator, Generator, noise
from lab.train.device import Device, Precision
from lab.train.measured_precision import Calls, Candidate, PrecisionChoices

_CALL_S = 0.06  # of a measured step in fp32, as far as the batch reaches
_MOST_OPERATIONS = 2e10  # of a measured step, about 0.2 s on one core: larger networks are measured at a lower stage


def training_device(choices: PrecisionChoices, config: ProgressiveGANConfig, device: Device) -> Device:
    """The device with the precision of gradient steps: of the discriminator's step with penalty at the last stage.

    Where the last stage takes too long for a measurement, an earlier one is measured.
    """
    level = _measured_level(config)
    batch = config.training.batch_size_at(4 * 2**level)
    rows = min(batch, config.training.micro_batch or batch, _most_rows(config, level))
    return choices.choose("training", lambda: _steps(config, device, level, rows), rows=rows, call_s=_CALL_S)


def _measured_level(config: ProgressiveGANConfig) -> int:
    """The highest level at which a group of the minibatch statistic stays within `_MOST_OPERATIONS`."""
    first, last = level_of(config.growth.start), level_of(config.network.resolution)
    group = config.network.minibatch_group
    return next((at for at in range(last, first, -1) if _most_rows(config, at) >= group), first)


def _most_rows(config: ProgressiveGANConfig, level: int) -> int:
    return max(1, int(_MOST_OPERATIONS / operations(config, level)))


def _steps(config: ProgressiveGANConfig, device: Device, level: int, rows: int) -> Calls:
    """Losses and gradients of a discriminator in either precision, on up to `rows` random images."""
    network, side = config.network, 4 * 2**level
    generator, discriminator = Generator(network), Discriminator(network)
    for net in (generator, discriminator):
        net.to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    real = torch.rand(rows, network.channels, side, side, device=device.device) * 2.0 - 1.0
    numbers = torch.arange(rows, device=device.device)
    labels = numbers % network.classes if network.classes else None

    def step(precision: Precision) -> Callable[[int], object]:
        loss = AdversarialLoss(
            config.loss,
            generator,
            discriminator,
            noise=partial(noise, network.latent),
            device=replace(device, precision=precision),
            seed=config.seed,
            group=network.minibatch_group,
        )

        def call(count: int) -> None:
            discriminator.zero_grad(set_to_none=True)
            batch = Batch(real, numbers, count, labels, (level, 1.0)).rows(slice(0, count))
            with torch.enable_grad():
                loss.of_discriminator(batch, step=0, shown=0).loss.backward()

        return call

    return {Candidate("fp32"): step("fp32"), Candidate("bf16"): step("bf16")}
