"""The averaged generator of a trained run, ready for sampling."""

from dataclasses import dataclass, field
from pathlib import Path

from gans.classes import Classes
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import Stage, stage_at
from gans.progressive.network import Generator
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
    classes: Classes = field(default_factory=Classes)

    def class_number(self, name: str | None, option: str) -> int | None:
        """The number of a class, None for None. Raises UserError, which begins with `option`, for an unknown class."""
        return None if name is None else self.classes.number(name, option, "train one with network.classes set")


def load_sampler(run: Path, device: Device, checkpoint: str = "latest") -> Sampler:
    """The generator of a run's checkpoint: "latest", "best" or an iteration. Raises UserError."""
    trained = load_run(run, ProgressiveGANConfig, checkpoint)
    config, generator = trained.config, Generator(trained.config.network)
    with trained.restoring("generator") as state:
        images = int(state["images"])
        generator.load_state_dict(state["trainer"]["average"]["module"])
        classes = Classes.of(state["classes"])
        if len(classes) != config.network.classes:
            raise ValueError("it has other classes")
    generator = generator.to(device.device).eval().requires_grad_(False)
    stage = stage_at(config.growth, config.network.resolution, images)
    return Sampler(generator, config, stage, images, device, classes)
