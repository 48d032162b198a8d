"""Evaluation of a generator: grids of images, and metrics of generated sets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.dataset import classes_of, labels_as, open_data, reals_at
from gans.progressive.growth import stage_at
from gans.progressive.network import Generator
from gans.progressive.sampler import Sampler
from gans.progressive.sampling import sample
from gans.quality.features import load_extractor
from gans.quality.image_metrics import ImageMetrics
from lab.data.images import ImageSet
from lab.errors import CheckpointError
from lab.plots.images import grid, save_png
from lab.plots.media import Image, Media
from lab.run.evaluator import EvaluateState
from lab.run.experiment import Evaluation
from lab.train.device import Device

_MIN_RESOLUTION = 16  # of metrics; smaller images have too few patches and features


class Evaluator:
    """Compares generated images with real ones of the same stage; grids go to the run's `samples/` as well."""

    def __init__(self, config: ProgressiveGANConfig, data: ImageSet, directory: Path, device: Device) -> None:
        self._config, self._data, self._samples, self._device = config, data, directory / "samples", device
        self._quality: dict[int, ImageMetrics] = {}

    def evaluate(self, sampler: Sampler) -> Evaluation:
        """A grid of fixed latents, one of real images at the same stage, and metrics if configured."""
        side, stage, shown = self._config.evaluate.grid, sampler.stage, sampler.images_shown
        generated = grid(sample(sampler, range(side * side), self._config.seed), columns=side)
        real = grid(reals_at(self._data, side * side, stage), columns=side)
        self._samples.mkdir(exist_ok=True)
        save_png(self._samples / f"{shown:010d}.png", generated)
        save_png(self._samples / f"real_{stage.resolution:04d}.png", real)
        media: list[Media] = [
            Image("samples", generated, f"{shown:,} images, alpha {stage.alpha:.2f}"),
            Image("real", real, f"{stage.resolution} x {stage.resolution}, alpha {stage.alpha:.2f}"),
        ]
        measured = self._config.evaluate.samples > 0 and stage.resolution >= _MIN_RESOLUTION
        return Evaluation(self.measure(sampler) if measured else {}, media)

    def measure(self, sampler: Sampler) -> dict[str, float]:
        """Metrics of `samples` generated images."""
        count, resolution = self._config.evaluate.samples, sampler.stage.resolution
        if resolution not in self._quality:
            real = reals_at(self._data, 2 * count, sampler.stage._replace(alpha=1.0))
            extractor = load_extractor(self._config.evaluate.extractor, self._device)
            others = real[count:] if len(real) == 2 * count else None  # the floor compares as many
            self._quality = {resolution: ImageMetrics(real[:count], extractor, others=others, seed=self._config.seed)}
        quality = self._quality[resolution]
        labels = labels_as(sampler.classes, self._data, count)
        found = quality.evaluate(sample(sampler, range(count), self._config.seed + 1, labels)) | quality.floor()
        return found | {"eval/images_shown": float(sampler.images_shown)}


def state_evaluator(config: ProgressiveGANConfig, directory: Path, device: Device) -> EvaluateState:
    """Evaluation of checkpoints; see `lab.config.registry.Kind.evaluator`."""
    generator = Generator(config.network).to(device.device).eval().requires_grad_(False)
    data = open_data(config)
    evaluator, classes = Evaluator(config, data, directory, device), classes_of(config, data)

    def evaluate(state: Mapping[str, Any], counters: Mapping[str, int]) -> Evaluation:
        try:
            generator.load_state_dict(state["trainer"]["average"]["module"])
        except (KeyError, TypeError, RuntimeError):
            raise CheckpointError("its generator is not that of the run's config.yaml") from None
        images = counters["images"]
        stage = stage_at(config.growth, config.network.resolution, images)
        return evaluator.evaluate(Sampler(generator, config, stage, images, device, classes))

    return evaluate
