"""The averaged generator of a run, ready to be drawn from."""

import logging
from dataclasses import dataclass
from pathlib import Path

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import Stage, stage_at
from gans.progressive.network import Generator
from lab.config.loading import load_run_config
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint as checkpoints
from lab.train.device import Device

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampler:
    """A generator in evaluation mode, the stage to draw at, and the images it had been shown by then."""

    generator: Generator
    config: ProgressiveGANConfig
    stage: Stage
    images_shown: int
    device: Device


def load_sampler(run: Path, device: Device, checkpoint: str = "latest") -> Sampler:
    """The generator of a run's checkpoint: "latest", "best" or an iteration. Raises UserError."""
    config = load_run_config(run / "config.yaml")
    if not isinstance(config, ProgressiveGANConfig):
        raise UserError(f"run {run.name!r} is of kind {config.kind!r}, not progressive_gan")
    path = checkpoints.choose(run, checkpoint, _log.warning)
    state = checkpoints.load(path)[0]
    generator = Generator(config.network)
    try:
        images = int(state["experiment"]["images"])
        generator.load_state_dict(state["experiment"]["trainer"]["average"]["module"])
    except (KeyError, TypeError, RuntimeError):
        raise CheckpointError(f"{path}: its generator is not that of the run's config.yaml") from None
    generator = generator.to(device.device).eval().requires_grad_(False)
    return Sampler(generator, config, stage_at(config.growth, config.network.resolution, images), images, device)
