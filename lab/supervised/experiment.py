"""Classification as an experiment: batches in a fixed order, cross-entropy, accuracy on what was held out."""

import dataclasses
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab import rng
from lab.checkpoint import CheckpointError
from lab.data.batches import Batches, normalise
from lab.data.images import ImageSet, open_images
from lab.device import Device
from lab.errors import UserError
from lab.experiment import Evaluation
from lab.media import Table
from lab.metrics import Catalogue
from lab.supervised.config import DataConfig, SupervisedConfig
from lab.supervised.fit import Fit, LossSum
from lab.supervised.metrics import CATALOGUE
from lab.supervised.network import Classifier


class Supervised:
    """A classifier and its optimizer, advanced by iterations of a few thousand images.

    Among ranks each computes its share of every batch; all take the same steps.
    """

    progress = "images"

    def __init__(self, config: SupervisedConfig, device: Device) -> None:
        self.config, self._device = config, device
        self._train, self._test = split(config.data, config.seed)
        self._batches = Batches(self._train, device.device, config.seed)
        self.network = Classifier(config.network, self._train.channels, self._train.num_classes).to(device.device)
        self._fit = Fit(self.network, config.training, device, config.training.decay_images)
        self._images = 0

    @property
    def catalogue(self) -> Catalogue:
        return CATALOGUE

    @property
    def counters(self) -> dict[str, int]:
        return {"images": self._images}

    def iterate(self) -> dict[str, float]:
        """Steps over about `images_per_iteration` images."""
        training, start, first = self.config.training, time.perf_counter(), self._images
        total, steps = torch.zeros((), device=self._device.device), 0
        rows, batch = self._fit.rows, training.batch_size
        self.network.train()
        while self._images < first + training.images_per_iteration:
            images, labels = self._batches.at(self._images + rows.start, rows.stop - rows.start, batch)
            assert labels is not None, "split() refuses a set without labels"
            losses = partial(self._losses, images, labels, self._images + rows.start)
            total, steps = total + self._fit.step(self._images, losses).loss, steps + 1
            self._images += batch
        seconds = time.perf_counter() - start
        return {
            "loss/classification": float(total) / steps,
            "speed/images_per_s": (self._images - first) / seconds,
        }

    def _losses(self, images: Tensor, labels: Tensor, first: int, rows: slice) -> LossSum:
        shift, seed = self.config.training.shift, self.config.seed
        logits = self.network(random_shift(normalise(images[rows]), shift, seed, first + rows.start))
        total = F.cross_entropy(logits.float(), labels[rows], reduction="sum")
        return LossSum(total, len(logits))

    def evaluate(self) -> Evaluation:
        logits, labels = predictions(self.network, self._test, self._device)
        guessed = logits.argmax(1)
        classes = self._test.classes
        counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        counts.index_put_((labels, guessed), torch.ones_like(labels), accumulate=True)
        rows = [[name, *row] for name, row in zip(classes, counts.tolist(), strict=True)]
        metrics = {
            "eval/accuracy": float((guessed == labels).float().mean()),
            "eval/loss": float(F.cross_entropy(logits, labels)),
        }
        return Evaluation(metrics, [Table("confusion", ["label", *classes], rows)])

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "fit": self._fit.state_dict(),
            "images": self._images,
            "data": self._train.fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state.get("data") != self._train.fingerprint:
            raise UserError(f"{self.config.data.source} is not the data this run was trained on: put the old data back")
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError:
            raise CheckpointError("its network is not the one of this run's config.yaml") from None
        self._fit.load_state_dict(state.get("fit", {}))
        self._images = state["images"]


def split(config: DataConfig, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and test pictures. Raises UserError when they have no labels or do not match."""
    train = open_images(config.source)
    if train.labels is None:
        raise UserError(f"{config.source} has no labels: there is nothing to learn from it by example")
    if config.test_source is None:
        order = np.random.default_rng(seed).permutation(len(train))
        held = max(1, int(len(train) * config.held_out))
        return _part(train, np.sort(order[held:])), _part(train, np.sort(order[:held]))
    test = open_images(config.test_source)
    if test.labels is None or (test.images.shape[1:], test.classes) != (train.images.shape[1:], train.classes):
        raise UserError(f"{config.test_source} does not match {config.source} in size, channels or classes")
    return train, test


def _part(whole: ImageSet, rows: np.ndarray) -> ImageSet:
    assert whole.labels is not None
    return dataclasses.replace(whole, images=whole.images[rows], labels=whole.labels[rows])


@torch.no_grad()
def predictions(network: Classifier, data: ImageSet, device: Device, batch: int = 256) -> tuple[Tensor, Tensor]:
    """Logits [N, classes] and labels int64 [N] of a set, on the CPU."""
    network.eval()
    parts = []
    for start in range(0, len(data), batch):
        images = torch.from_numpy(np.array(data.images[start : start + batch])).to(device.device)
        parts.append(network(normalise(images)).float().cpu())
    return torch.cat(parts), torch.from_numpy(np.array(data.labels))


def random_shift(images: Tensor, most: int, seed: int, start: int) -> Tensor:
    """[B, C, H, W] moved by up to `most` pixels each way, the edge repeated; image i by draws of start + i."""
    if not most:
        return images
    height, width = images.shape[2:]
    which = torch.arange(start, start + len(images), device=images.device)
    stream = int(rng.Stream.AUGMENT)
    down, right = (rng.integers(2 * most + 1, seed, stream, which, axis) - most for axis in (0, 1))
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, width - 1)
    moved = images.gather(2, rows[:, None, :, None].expand(images.shape))
    return moved.gather(3, columns[:, None, None, :].expand(images.shape))


def build(config: SupervisedConfig, directory: Path, device: Device) -> Supervised:
    """The experiment of a run directory; see `lab.registry`."""
    return Supervised(config, device)
