"""The time-series GAN as an experiment: iterations of training steps, evaluation, state."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gans.classes import rows_of_class
from gans.losses import AdversarialLoss, Batch
from gans.series.config import SeriesGANConfig
from gans.series.dataset import SeriesSet, check_same, open_series
from gans.series.evaluation import LEAST, SeriesMetrics
from gans.series.figures import compare_series
from gans.series.memory import data_needs, training_needs
from gans.series.metrics import CATALOGUE
from gans.series.network import Discriminator, Generator
from gans.series.noise import noise
from gans.series.sampler import DataSummary, Sampler
from gans.trainer import Trainer
from lab.data.order import indices
from lab.errors import CheckpointError, UserError
from lab.plots.images import save_png
from lab.plots.media import Image
from lab.run import memory_needs
from lab.run.experiment import Evaluation, Experiment
from lab.train.device import Device


class SeriesGAN(Experiment):
    """Recurrent GAN of time series (Esteban et al. 2017)."""

    progress = "series"
    catalogue = CATALOGUE

    def __init__(self, config: SeriesGANConfig, directory: Path, device: Device) -> None:
        self.config, self._device = config, device
        memory_needs.check(data_needs(config), device)
        data = open_series(config.data, config.seed)
        memory_needs.check(training_needs(config, data.channels, len(data.classes), device), device)
        self._reference = reference_series(data, config) if config.evaluate.samples else None
        self._fingerprint, self._summary = data.fingerprint(), DataSummary.from_set(data)
        self._data = data.to(device.device)
        self._samples_directory = directory / "samples"
        self.trainer = make_trainer(config, data.channels, len(data.classes), device)
        self._scores: SeriesMetrics | None = None

    @property
    def counters(self) -> dict[str, int]:
        return {"series": self.trainer.shown, "steps": self.trainer.steps}

    def iterate(self) -> dict[str, float]:
        """Steps until `series_per_iteration` more series have been shown."""
        return self.trainer.iterate(self.config.training.series_per_iteration, self._batch)

    def evaluate(self) -> Evaluation:
        """Metrics beside their floors, and a plot of real and generated series."""
        sampler = self.sampler()
        if self._reference is not None and self._scores is None:
            self._scores = SeriesMetrics(
                self._reference.held_out,
                self._reference.training,
                self.config.evaluate,
                self.config.seed,
                self._device,
            )
        shown = plot(self._data, sampler, self.config.evaluate.plot, self.config.seed)
        self._samples_directory.mkdir(exist_ok=True)
        save_png(self._samples_directory / f"{self.trainer.shown:010d}.png", shown)
        media = [Image("series", shown, f"{self.trainer.shown:,} series")]
        if self._scores is None or self._reference is None:
            return Evaluation({}, media)
        reference = self._reference
        generated = sampler.sample(range(len(reference.held_out)), self.config.seed + 1, reference.labels)
        return Evaluation(self._scores.evaluate(generated) | self._scores.floor(), media)

    def sampler(self) -> Sampler:
        """The averaged generator, ready for sampling."""
        trainer = self.trainer
        return Sampler(
            trainer.average.module, self.config, self._summary, trainer.shown, self._fingerprint, self._device
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "trainer": self.trainer.state_dict(),
            "data_summary": self._summary.state_dict(),
            "data": self._fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if "data" not in state or "trainer" not in state:
            raise CheckpointError("it is not of a series GAN")
        otherwise = "put the old data back, or start a new run"
        check_same(self.config.data, self._fingerprint, state["data"], otherwise)
        self.trainer.load_state_dict(state["trainer"])

    def _batch(self, start: int) -> Batch:
        """Series number `start` to `start + batch_size` in training order."""
        data, count, device = self._data, self.config.training.batch_size, self._device.device
        rows = torch.from_numpy(indices(len(data.training), self.config.seed, start, count)).to(device)
        numbers = torch.arange(start, start + count, device=device)
        labels = None if data.labels is None else data.labels[rows]
        return Batch(data.windows(data.training[rows]), numbers, count, labels)


def make_trainer(config: SeriesGANConfig, channels: int, classes: int, device: Device) -> Trainer[Generator]:
    """A trainer in float32: lower precision does not speed up networks this small."""
    device = replace(device, precision="fp32")
    loss = AdversarialLoss(
        config.loss,
        Generator(config.network, channels, classes).to(device.device),
        Discriminator(config.network, channels, classes).to(device.device),
        noise=partial(noise, config.network, config.data.length),
        device=device,
        seed=config.seed,
    )
    return Trainer(
        loss, config.training, device, discriminator_heads=[loss.discriminator], generator_heads=[loss.generator]
    )


class ReferenceSeries(NamedTuple):
    """Held-out and training series, float32 [N, T, C] on the CPU, in random order, and their classes.

    labels: int64 [N], None without classes. Series i of both sets have class i, and generated ones get it as well:
    metrics compare whole sets, so other shares of the classes would count as errors of the generator.
    """

    held_out: Tensor
    training: Tensor
    labels: Tensor | None


def reference_series(data: SeriesSet, config: SeriesGANConfig) -> ReferenceSeries:
    """As many series of each set as `evaluate.samples` and the data allow. Raises UserError."""
    count = min(config.evaluate.samples, len(data.held_out), len(data.training))
    if count < LEAST:
        raise UserError(
            f"{data.source}: {len(data.held_out)} windows held out and {len(data.training)} to train on are too few "
            f"for metrics, which need {LEAST} of each; bring more rows, raise data.held_out, or set evaluate.samples=0"
        )
    generator = np.random.default_rng(config.seed)
    held_out, training = (
        torch.from_numpy(generator.permutation(len(starts))[:count]) for starts in (data.held_out, data.training)
    )
    labels = None
    if data.labels is not None and data.held_out_labels is not None:
        labels = data.held_out_labels.cpu()[held_out]
        training = rows_of_class(data.labels.cpu(), labels, generator)
    series = [
        data.windows(starts[rows.to(starts.device)]).cpu()
        for starts, rows in ((data.held_out, held_out), (data.training, training))
    ]
    return ReferenceSeries(series[0], series[1], labels)


def plot(data: SeriesSet, sampler: Sampler, count: int, seed: int) -> np.ndarray:
    """Up to `count` real series beside generated ones, statistics of both sets below them; uint8 [H, W, 3]."""
    several = min(256, len(data.held_out))
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(data.held_out))[:several])
    order = order.to(data.held_out.device)
    real = data.windows(data.held_out[order]).cpu()
    labels = None if data.held_out_labels is None else data.held_out_labels[order]
    generated = sampler.sample(range(several), seed + 1, labels)
    return compare_series(real.numpy(), generated.numpy(), data.scale.columns, count)


def build(config: SeriesGANConfig, directory: Path, device: Device) -> SeriesGAN:
    """The experiment of a run directory; see `lab.config.registry.Kind.build`."""
    return SeriesGAN(config, directory, device)
