"""The progressive GAN as an experiment: iterations of training steps, evaluation, state."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gans.progressive import memory
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.cost import StageCosts
from gans.progressive.dataset import check_data, classes_of, open_data
from gans.progressive.evaluation import Evaluator
from gans.progressive.metrics import CATALOGUE
from gans.progressive.precision import training_device
from gans.progressive.sampler import Sampler
from gans.progressive.trainer import GrowingTrainer
from gans.trainer import MeanStatistics
from lab.data.batches import Batches
from lab.data.images import verify_images
from lab.errors import CheckpointError, UserError
from lab.run.experiment import Evaluation, Experiment
from lab.terminal.streams import say
from lab.train.device import Device
from lab.train.measured_precision import PrecisionChoices


class ProgressiveGAN(Experiment):
    """Growing generator and discriminator (Karras et al. 2018)."""

    progress = "images"
    catalogue = CATALOGUE

    def __init__(self, config: ProgressiveGANConfig, directory: Path, device: Device) -> None:
        self.config, self._device = config, device
        self._data = open_data(config)
        check_data(config, self._data)
        self.memory = memory.check(config, device)
        self._classes = classes_of(config, self._data)
        self._batches = Batches(self._data, device.device, config.seed)
        choices = PrecisionChoices(directory, device)
        self.trainer = GrowingTrainer(config, training_device(choices, config, device))
        choices.report()
        self._costs = StageCosts(config, device.device.type)
        self._evaluator = Evaluator(config, self._data, directory, device)

    @property
    def counters(self) -> dict[str, int]:
        return {"images": self.trainer.images, "steps": self.trainer.trainer.steps}

    def iterate(self) -> dict[str, float]:
        """Steps until `images_per_iteration` more images have been shown."""
        trainer, start = self.trainer, time.perf_counter()
        first, statistics = trainer.images, MeanStatistics()
        while trainer.images < first + self.config.training.images_per_iteration:
            stage, batch, rate = trainer.stage, trainer.batch_size, trainer.learning_rate
            rows = trainer.rows
            images, labels = self._batches.at(trainer.images + rows.start, rows.stop - rows.start, batch)
            statistics.add(trainer.step(images, labels if self.config.network.classes else None))
        metrics = statistics.compute()  # the only wait for the device in an iteration
        shown, seconds = trainer.images - first, time.perf_counter() - start
        self._costs.add(stage.level, shown, seconds)
        trainer.augmentation.adapt(metrics["train/real_sign"], shown)
        return metrics | {
            "stage/resolution": stage.resolution,
            "stage/alpha": stage.alpha,
            "stage/batch_size": batch,
            "train/learning_rate": rate,
            "stage/augment_probability": trainer.augmentation.probability,
            "train/samples_per_s": shown / seconds,
            "time/kimg_s": seconds / shown * 1000,
        }

    def work(self, count: int) -> float:
        """Estimated seconds of training until `count` images have been shown."""
        return self._costs.seconds_until(count)

    def evaluate(self) -> Evaluation:
        return self._evaluator.evaluate(self.sampler())

    def sampler(self) -> Sampler:
        """The averaged generator at the current stage, ready for sampling."""
        trainer = self.trainer
        return Sampler(trainer.average.module, self.config, trainer.stage, trainer.images, self._device, self._classes)

    def state_dict(self) -> dict[str, Any]:
        return {
            "trainer": self.trainer.state_dict(),
            "images": self.trainer.images,
            "classes": self._classes.state_dict(),
            "data": self._data.fingerprint,
        }

    def verify_data(self) -> None:
        verify_images(self._data)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if "data" not in state or "trainer" not in state:
            raise CheckpointError("it is not of a progressive GAN")
        if state["data"] != self._data.fingerprint:
            raise UserError(
                f"{self.config.data.source} is not the data this run was trained on (its pixels or labels differ): "
                "put the old data back, or start a new run"
            )
        self.trainer.load_state_dict(state["trainer"])


def build(config: ProgressiveGANConfig, directory: Path, device: Device) -> ProgressiveGAN:
    """The experiment of a run directory; see `lab.config.registry.Kind.build`."""
    experiment = ProgressiveGAN(config, directory, device)
    stages = ", ".join(f"{stage.resolution}: {stage.total_mb:,.0f}" for stage in experiment.memory)
    say(f"estimated memory at each resolution (MB): {stages}")
    return experiment
