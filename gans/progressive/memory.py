"""Memory estimate of every stage, checked before a run starts."""

from dataclasses import dataclass

import torch

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import level_of, stages
from gans.progressive.network import Discriminator, Generator, channels_at
from lab.errors import UserError
from lab.run.memory import free_mb
from lab.train.device import Device

_COPIES = 6  # weights, gradients, two moments, the generator's average, temporaries of the optimizer
# Values alive at the peak of a discriminator step for each feature map of a block: 7 to 9 measured, 14 where the loss
# compares real and generated images in pairs.
_MAPS = 14.0


@dataclass(frozen=True)
class Estimate:
    """Megabytes of weights with their optimizer state, and of feature maps, at one resolution."""

    resolution: int
    images_at_once: int
    weights_mb: float
    maps_mb: float

    @property
    def total_mb(self) -> float:
        return self.weights_mb + self.maps_mb


def estimate(config: ProgressiveGANConfig, bytes_per_value: int = 4) -> list[Estimate]:
    """One estimate for each resolution of the run; 1.0 to 1.6 times what was measured on a CPU (16 to 128 channels)."""
    with torch.device("meta"):
        parameters = sum(p.numel() for net in (Generator, Discriminator) for p in net(config.network).parameters())
    found = []
    for resolution in sorted({stage.resolution for stage in stages(config.growth, config.network.resolution)}):
        batch = config.training.batch_size_at(resolution)
        at_once = min(config.training.micro_batch or batch, batch)
        values = sum(
            channels_at(config.network, 4 * 2**level) * (4 * 2**level) ** 2 for level in range(level_of(resolution) + 1)
        )
        maps = _MAPS * values * at_once * bytes_per_value
        found.append(Estimate(resolution, at_once, parameters * 4 * _COPIES / 1e6, maps / 1e6))
    return found


def check(config: ProgressiveGANConfig, device: Device) -> list[Estimate]:
    """The estimates. Raises UserError for the first stage that exceeds the free memory."""
    free, found = free_mb(device.device), estimate(config, 2 if device.precision == "bf16" else 4)
    for stage in found:
        if free is not None and stage.total_mb > free:
            raise UserError(
                f"{stage.resolution} x {stage.resolution} with {stage.images_at_once} images at once needs about "
                f"{stage.total_mb:,.0f} MB of the {free:,.0f} MB free on {device.device}: lower "
                f"training.micro_batch, training.batch_sizes.{stage.resolution} or network.fmap_base"
            )
    return found
