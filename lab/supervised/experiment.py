"""The supervised experiment: a network that is trained on labelled samples and evaluated on a test set."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.data.batches import Batches
from lab.errors import CheckpointError, UserError
from lab.plots.images import save_png
from lab.plots.media import Image, Media
from lab.run import checkpoint as checkpoints
from lab.run import memory_needs, metrics
from lab.run.experiment import Evaluation, Experiment
from lab.run.metrics import Entry
from lab.supervised import figures
from lab.supervised.batches import TrainingBatches, part
from lab.supervised.config import SupervisedConfig
from lab.supervised.data import training_and_test, verify_data
from lab.supervised.inference import as_inputs
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.memory import data_needs, training_needs
from lab.supervised.metrics import catalogue_of
from lab.supervised.preprocessing import Preprocessing
from lab.supervised.transfer import build_network, start_from
from lab.terminal.text import one_line
from lab.train.collectives import ranks
from lab.train.device import Device
from lab.train.learning_rate import learning_rate_at, warn_of_early_decay
from lab.train.measured_precision import for_gradient_steps
from lab.train.modes import evaluating
from lab.train.step import GradientStep, StepResult, mean_of

_log = logging.getLogger(__name__)
_SHOWN = 10  # classes, or columns of a kind


class Supervised(Experiment):
    """A network and its gradient step for a task.

    Each of several ranks computes its part of every batch, and all take the same steps.
    """

    def __init__(self, config: SupervisedConfig, directory: Path, device: Device) -> None:
        self.config, self.device, self._directory = config, device, directory
        memory_needs.check(data_needs(config), device)
        self.train, self.test = training_and_test(config)
        self.progress = self.train.unit
        self.catalogue = catalogue_of(config.task)
        self._preprocessing = None if self.train.rows is None else self.train.rows.preprocessing
        if self._preprocessing is not None and ranks().is_rank_zero:
            _say_what_was_read(self._preprocessing, self.train, self.test)
        memory_needs.check(training_needs(config, self.train.shape, len(self.train.classes), device), device)
        self.loss = config.task.loss(self.train, device, config.seed)
        self.network = build_network(config, self.train.shape, len(self.train.classes))
        # A resumed run loads its network from the checkpoint, and other ranks receive that of rank 0.
        if ranks().is_rank_zero and not checkpoints.numbered(directory / "checkpoints"):
            config.network.fit(self.network, self._some_inputs)
            if config.trunk.run:
                start_from(self.network, config.trunk, directory.parent)
        if config.trunk.freeze:
            self.network.trunk.requires_grad_(False)
        _check_norms(self.network, config)
        # Channels last: 33% faster on tensor cores, 10% on a CPU.
        self.network.to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._rows = ranks().rows(config.training.batch_size)
        augmented = config.augment if self.train.has_images else None
        batches = Batches(self.train, device.device, config.seed)
        self.batches = TrainingBatches(batches, augmented, config.seed, config.training.batch_size, self._rows)
        self.device = for_gradient_steps(
            directory,
            device,
            self.network,
            lambda network, rows: self.loss(network, part(self.batches.at(0), rows)),
            rows=config.training.rows_at_once(self._rows.stop - self._rows.start),
        )
        self._gradient_step = GradientStep(self.network, config.training, self.device, heads=[self.network.out])
        warn_of_early_decay(config.training, config.budget, config.training.period, self.progress, "images")
        self._images = 0

    @property
    def counters(self) -> dict[str, int]:
        return {self.progress: self._images}

    def iterate(self) -> dict[str, float]:
        """Train on at least `images_per_iteration` samples."""
        start, first = time.perf_counter(), self._images
        steps: list[StepResult] = []
        while self._images < first + self.config.training.images_per_iteration:
            rate = self._learning_rate
            steps.append(self.step())
        means = mean_of(steps)  # the only wait for the device, so that the time counts the work
        return {
            self.config.task.metrics[0].name: float(means.loss),
            "train/gradient_norm": float(means.gradient_norm),
            "train/learning_rate": rate,
            "train/samples_per_s": (self._images - first) / (time.perf_counter() - start),
        }

    def step(self, rate: float | None = None) -> StepResult:
        """One batch, at the learning rate of the schedule unless `rate` is given."""
        self._set_training_mode()
        if not self.config.trunk.freeze:
            self.config.network.set_trainable(self.network, self._images / self.config.training.period)
        batch = self.batches.at(self._images)
        step = self._gradient_step(
            lambda rows: self.loss(self.network, part(batch, rows)),
            rows=self._rows.stop - self._rows.start,
            learning_rate=self._learning_rate if rate is None else rate,
            micro_batch=self.config.training.micro_batch,
        )
        self._images += self.config.training.batch_size
        return step

    def evaluate(self) -> Evaluation:
        """Metrics of the test set, and figures, which are also written to the run's `samples/`."""
        with evaluating(self.network):
            found = self.config.task.evaluate(self.network, self.test, self.device, self.config.seed)
            media = [*found.media, *self._figures(found.metrics)]
        folder = self._directory / "samples"
        for item in media:
            if isinstance(item, Image):
                save_png(folder / f"{item.name}.png", item.pixels)
        return Evaluation(found.metrics, media)

    def state_dict(self) -> dict[str, Any]:
        train = self.train
        return {
            "network": self.network.state_dict(),
            "optimizer": self._gradient_step.state_dict(),
            "images": self._images,
            "data": train.fingerprint,
            "test_data": self.test.fingerprint,
            "samples": {
                "shape": train.shape,
                "classes": train.classes,
                "columns": train.columns,
                "rule": train.rule,
                "preprocessing": None if self._preprocessing is None else self._preprocessing.to_json(),
            },
        }

    def verify_data(self) -> None:
        verify_data(self.config)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state.get("data") != self.train.fingerprint:
            raise UserError(f"{self.train.name} is not the data this run was trained on: put the old data back")
        if state.get("test_data") != self.test.fingerprint:
            raise UserError(f"{self.test.name} is not the data this run was tested on: put the old data back")
        classes = state["samples"]["classes"]
        if not (isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes)):
            raise CheckpointError("its names of classes are damaged")
        if tuple(classes) != self.train.classes:
            raise UserError(f"{self.train.name} names its classes differently than before: put the old data back")
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError:
            raise CheckpointError("its network is not the one of this run's config.yaml") from None
        self._gradient_step.load_state_dict(state["optimizer"])
        self._images = state["images"]

    @property
    def _learning_rate(self) -> float:
        return learning_rate_at(self.config.training, self._images, self.config.training.period)

    def _some_inputs(self, count: int) -> Tensor:
        """Network inputs of up to `count` samples, evenly spread over the training set, on the CPU."""
        spread = np.linspace(0, len(self.train) - 1, min(count, len(self.train))).round().astype(int)
        return as_inputs(torch.from_numpy(np.array(self.train.inputs[spread])))

    def _set_training_mode(self) -> None:
        """Training mode, except for a frozen trunk, so that its statistics do not change."""
        if not self.network.training:
            self.network.train()
        if self.config.trunk.freeze and self.network.trunk.training:
            self.network.trunk.eval()

    def _figures(self, evaluated: Mapping[str, float]) -> list[Media]:
        """Learning curves, and for images the filters and feature maps of the trunk."""
        entries = metrics.read(self._directory / "metrics.jsonl")
        now = Entry(len(entries), self.counters, dict(evaluated))  # not written yet
        media: list[Media] = [*figures.learning_curves([*entries, now], self.config.task.metrics, self.progress)]
        if self.test.has_images:
            shown = torch.from_numpy(np.array(self.test.inputs[:1])).to(self.device.device)
            maps = figures.feature_maps(self.network, as_inputs(shown)[0])
            media += [item for item in (figures.filters(self.network, self.test.shape), maps) if item is not None]
        return media


def _say_what_was_read(preprocessing: Preprocessing, train: LabelledSet, test: LabelledSet) -> None:
    """Log classes, kinds of columns, blanks, and texts of the test set that no training row has."""
    names: dict[str, list[str]] = {}
    for column in preprocessing.schema:
        name = one_line(column.name, 60)
        shown = f"{name} ({len(column.texts)})" if column.kind == "category" else name
        names.setdefault(column.kind, []).append(shown)
    if train.classes:
        counts = np.bincount(train.targets, minlength=len(train.classes)) + np.bincount(
            test.targets, minlength=len(train.classes)
        )
        found = [f"{one_line(name, 60)} ({count:,})" for name, count in zip(train.classes, counts, strict=True)]
        _log.warning(f"{train.name}, classes with their rows: {_listed(found)}")
    kinds = "; ".join(f"{kind}: {_listed(columns)}" for kind, columns in names.items())
    _log.warning(f"{train.name}, columns by kind: {kinds}")
    for data in (train, test):
        for note in preprocessing.notes(data.table.inputs, data.table.schema):
            _log.warning(f"{'training' if data is train else 'test'} rows: {note}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f", ... ({len(names):,} in all)" if len(names) > _SHOWN else "")


def _check_norms(network: nn.Module, config: SupervisedConfig) -> None:
    """Raise UserError if a norm would take its statistics from one sample."""
    batch, micro = config.training.batch_size, config.training.micro_batch
    smallest = batch if micro is None else batch % micro or min(micro, batch)
    if smallest == 1 and ranks().size == 1 and any(isinstance(m, nn.BatchNorm1d) for m in network.modules()):
        raise UserError(
            f"training.batch_size={batch} in micro batches of {micro or batch} leaves a single sample, from "
            "which batch norm cannot take statistics: change either"
        )


def build(config: SupervisedConfig, directory: Path, device: Device) -> Supervised:
    """The experiment of a run directory; see `lab.config.registry.Kind.build`."""
    return Supervised(config, directory, device)
