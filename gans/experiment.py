"""A progressive GAN as an experiment: show real images, train both networks, look at what the generator makes."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gans import memory
from gans.config import ProgressiveGANConfig
from gans.metrics import CATALOGUE
from gans.model import Sampler
from gans.network import fade_reals
from gans.pictures import grid, save_png, to_uint8
from gans.quality.features import load_extractor
from gans.quality.report import Quality
from gans.sampling import sample
from gans.schedule import Stage
from gans.trainer import Trainer
from lab.checkpoint import CheckpointError
from lab.data.batches import Batches, normalise, reduce_to
from lab.data.images import ImageSet, open_images
from lab.device import Device
from lab.errors import UserError
from lab.experiment import Evaluation
from lab.media import Image, Media
from lab.metrics import Catalogue


class ProgressiveGAN:
    """Growing generator and critic (Karras et al. 2018), advanced by iterations of about a thousand images."""

    progress = "images"

    def __init__(self, config: ProgressiveGANConfig, directory: Path, device: Device) -> None:
        self.config, self._device = config, device
        self._data = open_images(config.data.source)
        check_data(config, self._data)
        memory.check(config, device)
        self._samples_directory = directory / "samples"
        self._batches = Batches(self._data, device.device, config.seed)
        self.trainer = Trainer(config, device)
        self._quality: dict[int, Quality] = {}

    @property
    def catalogue(self) -> Catalogue:
        return CATALOGUE

    @property
    def counters(self) -> dict[str, int]:
        return {"images": self.trainer.images, "steps": self.trainer.steps}

    def iterate(self) -> dict[str, float]:
        """Steps until `images_per_iteration` more images have been shown."""
        trainer, start = self.trainer, time.perf_counter()
        first, steps = trainer.images, trainer.steps
        sums: dict[str, Tensor] = {}
        while trainer.images < first + self.config.training.images_per_iteration:
            stage, batch = trainer.stage, trainer.batch_size
            images, labels = self._batches.at(trainer.images, batch)
            statistics = trainer.step(images, labels if self.config.network.classes else None)
            sums = {name: sums[name] + value if sums else value for name, value in statistics.items()}
        taken = trainer.steps - steps
        # The only wait for the device in an iteration.
        metrics = dict(zip(sums, (torch.stack(list(sums.values())) / taken).tolist(), strict=True))
        for name in ("critic/gradient_norm", "generator/gradient_norm"):
            if not math.isfinite(metrics[name]):
                raise FloatingPointError(f"{name} is NaN or infinite")
        shown, seconds = trainer.images - first, time.perf_counter() - start
        trainer.adapt(metrics["critic/real_sign"], shown)
        return metrics | {
            "stage/resolution": stage.resolution,
            "stage/alpha": stage.alpha,
            "stage/batch": batch,
            "stage/learning_rate": self.config.training.rate_at(stage.resolution),
            "stage/augment_probability": trainer.augment_probability if self.config.augment.mode != "none" else 0.0,
            "speed/images_per_s": shown / seconds,
            "speed/kimg_s": seconds / shown * 1000,
        }

    def evaluate(self) -> Evaluation:
        """A grid of fixed latents and one of real images at the same stage; metrics if configured."""
        sampler, side = self.sampler(), self.config.grading.grid
        pictures = sample(sampler, range(side * side), self.config.seed)
        made = grid(pictures, columns=side)
        self._samples_directory.mkdir(exist_ok=True)
        save_png(self._samples_directory / f"{self.trainer.images:010d}.png", made)
        stage = sampler.stage
        media: list[Media] = [Image("samples", made, f"{self.trainer.images:,} images, alpha {stage.alpha:.2f}")]
        real = grid(reals_at(self._data, side * side, stage), columns=side)
        save_png(self._samples_directory / f"real_{stage.resolution:04d}.png", real)
        media.append(Image("real", real, f"{stage.resolution} x {stage.resolution}, alpha {stage.alpha:.2f}"))
        return Evaluation(self._grade(sampler), media)

    def sampler(self) -> Sampler:
        """The averaged generator at the present stage."""
        trainer = self.trainer
        return Sampler(trainer.average.module, self.config, trainer.stage, trainer.images, self._device)

    def state_dict(self) -> dict[str, Any]:
        return {"trainer": self.trainer.state_dict(), "images": self.trainer.images, "data": self._data.fingerprint}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if "data" not in state or "trainer" not in state:
            raise CheckpointError("it is not of a progressive GAN")
        if state["data"] != self._data.fingerprint:
            raise UserError(
                f"{self.config.data.source} is not the data this run was trained on (its pixels or labels differ): "
                "put the old data back, or start a new run"
            )
        try:
            self.trainer.load_state_dict(state["trainer"])
        except (KeyError, RuntimeError, ValueError):  # torch's own message takes a line for each tensor
            raise CheckpointError("its networks are not those of this run's config.yaml") from None

    def _grade(self, sampler: Sampler) -> dict[str, float]:
        count, resolution = self.config.grading.samples, sampler.stage.resolution
        if not count or resolution < 16:
            return {}  # the metrics' patches and features need something to look at
        if resolution not in self._quality:
            real = reals_at(self._data, 2 * count, sampler.stage._replace(alpha=1.0))
            extractor = load_extractor(self.config.grading.extractor, self._device)
            self._quality = {resolution: Quality(real, extractor, seed=self.config.seed)}
        quality = self._quality[resolution]
        return quality.grade(sample(sampler, range(count), self.config.seed + 1)) | quality.floor()


def reals_at(data: ImageSet, count: int, stage: Stage) -> Tensor:
    """uint8 [N, C, R, R]: the first `count` pictures as the critic sees them at a stage."""
    images = torch.from_numpy(data.images[:count].copy())
    return to_uint8(fade_reals(reduce_to(normalise(images), stage.resolution), stage.alpha))


def check_data(config: ProgressiveGANConfig, data: ImageSet) -> None:
    """Raise UserError when these images cannot train these networks."""
    wanted = config.network
    if data.channels != wanted.channels:
        raise UserError(
            f"{config.data.source} has {data.channels} channels and network.channels is {wanted.channels}: "
            f"set network.channels={data.channels} or pack the data with --channels {wanted.channels}"
        )
    if data.resolution < wanted.resolution:
        raise UserError(
            f"{config.data.source} has {data.resolution} x {data.resolution} pictures, too small for "
            f"network.resolution={wanted.resolution}: set it to {data.resolution} or less"
        )
    if wanted.classes and (data.labels is None or data.num_classes != wanted.classes):
        has = "no labels" if data.labels is None else f"{data.num_classes} classes"
        raise UserError(f"network.classes is {wanted.classes} and {config.data.source} has {has}")
    if len(data) < 2:
        raise UserError(f"{config.data.source} has {len(data)} image: a GAN needs at least 2 to tell apart")


def build(config: ProgressiveGANConfig, directory: Path, device: Device) -> ProgressiveGAN:
    """The experiment of a run directory; see `lab.registry`."""
    return ProgressiveGAN(config, directory, device)
