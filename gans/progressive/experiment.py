"""A progressive GAN as an experiment: show real images, train both networks, look at what the generator makes."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gans.progressive import memory
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.dataset import check_data, reals_at
from gans.progressive.evaluation import Grading, Measured, is_measured, make_grading
from gans.progressive.metrics import CATALOGUE
from gans.progressive.model import Sampler
from gans.progressive.sampling import sample
from gans.progressive.trainer import GrowingTrainer
from gans.trainer import MeanStatistics
from lab.data.batches import Batches
from lab.data.images import open_images
from lab.errors import CheckpointError, UserError
from lab.plots.images import grid, save_png
from lab.plots.media import Image, Media
from lab.run.experiment import Evaluation, Experiment
from lab.train.device import Device


class ProgressiveGAN(Experiment):
    """Growing generator and discriminator (Karras et al. 2018), advanced by iterations of about a thousand images."""

    progress = "images"
    catalogue = CATALOGUE

    def __init__(
        self, config: ProgressiveGANConfig, directory: Path, device: Device, grading: Grading | None = None
    ) -> None:
        self.config, self._device = config, device
        self._data = open_images(config.data.source)
        check_data(config, self._data)
        self.memory = memory.check(config, device)
        self._samples_directory = directory / "samples"
        self._batches = Batches(self._data, device.device, config.seed)
        self.trainer = GrowingTrainer(config, device)
        self._grading = grading or make_grading(config, self._data, device)
        self._late: list[Measured] = []

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

    def evaluate(self) -> Evaluation:
        """A grid of fixed latents and one of real images at the same stage; metrics if configured.

        What is measured beside training is among the late evaluations; at the end of the budget it is waited for.
        """
        sampler, side = self.sampler(), self.config.evaluate.grid
        pictures = sample(sampler, range(side * side), self.config.seed)
        made = grid(pictures, columns=side)
        self._samples_directory.mkdir(exist_ok=True)
        save_png(self._samples_directory / f"{self.trainer.images:010d}.png", made)
        stage = sampler.stage
        media: list[Media] = [Image("samples", made, f"{self.trainer.images:,} images, alpha {stage.alpha:.2f}")]
        real = grid(reals_at(self._data, side * side, stage), columns=side)
        save_png(self._samples_directory / f"real_{stage.resolution:04d}.png", real)
        media.append(Image("real", real, f"{stage.resolution} x {stage.resolution}, alpha {stage.alpha:.2f}"))
        return Evaluation(self._measure(sampler), media)

    def _measure(self, sampler: Sampler) -> dict[str, float]:
        now = self.trainer.images
        last = now >= self.config.budget
        answers = self._grading.answers(wait=last)  # first, for the last not to find another still on its way
        if is_measured(sampler):
            self._grading.ask(now, sampler)
            answers += self._grading.answers(wait=last)
        self._late += [measured for measured in answers if measured.images != now]
        return next((measured.metrics for measured in answers if measured.images == now), {})

    @property
    def evaluating(self) -> int | None:
        return self._grading.pending

    def late_evaluations(self) -> list[Evaluation]:
        late, self._late = [*self._late, *self._grading.answers()], []
        return [Evaluation(measured.metrics, at=measured.images) for measured in late]

    def close(self) -> None:
        self._grading.close()

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


def build(
    config: ProgressiveGANConfig, directory: Path, device: Device, *, evaluator: Grading | None = None
) -> ProgressiveGAN:
    """The experiment of a run directory, with evaluation in this process unless another is given."""
    experiment = ProgressiveGAN(config, directory, device, evaluator)
    stages = ", ".join(f"{stage.resolution}: {stage.total_mb:,.0f}" for stage in experiment.memory)
    print(f"memory wanted at each resolution, about (MB): {stages}")
    return experiment
