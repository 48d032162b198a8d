"""The averaged generator of a trained run, ready for sampling."""

from dataclasses import dataclass
from pathlib import Path

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import Stage, stage_at
from gans.progressive.network import Generator
from lab.errors import UserError
from lab.run.load import load_run
from lab.train.device import Device


@dataclass(frozen=True)
class Sampler:
    """A generator in evaluation mode, its stage, and the real images shown during its training."""

    generator: Generator
    config: ProgressiveGANConfig
    stage: Stage
    images_shown: int
    device: Device

    def check_label(self, label: int | None, option: str) -> None:
        """Raise UserError, which begins with `option`, for a class that the run does not have."""
        classes = self.config.network.classes
        if label is not None and not classes:
            raise UserError(f"{option}: this run is unconditional; train one with network.classes set")
        if label is not None and not 0 <= label < classes:
            raise UserError(f"{option} {label}: this run has classes 0 to {classes - 1}")


def load_sampler(run: Path, device: Device, checkpoint: str = "latest") -> Sampler:
    """The generator of a run's checkpoint: "latest", "best" or an iteration. Raises UserError."""
    trained = load_run(run, ProgressiveGANConfig, checkpoint)
    config, generator = trained.config, Generator(trained.config.network)
    with trained.restoring("generator") as state:
        images = int(state["images"])
        generator.load_state_dict(state["trainer"]["average"]["module"])
    generator = generator.to(device.device).eval().requires_grad_(False)
    return Sampler(generator, config, stage_at(config.growth, config.network.resolution, images), images, device)
