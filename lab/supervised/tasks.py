"""What is learned: the loss of a batch, and what an evaluation says of the test set, one class a task."""

from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.augment import Draws
from lab.data.batches import normalise
from lab.errors import UserError
from lab.plots.media import Media, Table
from lab.run.experiment import Evaluation
from lab.supervised import figures
from lab.supervised.config import ClassificationConfig, DenoisingConfig, ReconstructionConfig, SupervisedConfig
from lab.supervised.data import Examples, class_number
from lab.supervised.network import Network, Rescaled
from lab.train.device import Device
from lab.train.step import LossSum

_BATCH = 256
_NOISE = 99  # the operation of the denoising task among those of the augmentation
_TEST_NOISE = 10**12  # the noise of test picture i is that of the number i from here on


class Batch(NamedTuple):
    """Inputs as the network takes them, targets as the set has them, and the numbers [B] of the examples."""

    inputs: Tensor
    targets: Tensor
    which: Tensor


class Task(Protocol):
    """One thing to learn. Sums of losses, so that parts of a batch make up the mean of the whole."""

    def losses(self, network: Network, batch: Batch) -> LossSum: ...

    def evaluate(self, network: Network, test: Examples, device: Device) -> Evaluation:
        """Metrics and media of the test set; the network is in evaluation mode."""
        ...


def task_of(config: SupervisedConfig, train: Examples, device: Device) -> Task:
    """Raises UserError when the task does not suit the examples."""
    task = config.task
    if isinstance(task, ClassificationConfig):
        return Classification(task, train, device)
    if isinstance(task, DenoisingConfig):
        return Denoising(task, config.seed)
    if isinstance(task, ReconstructionConfig):
        return Reconstruction(task, train.classes)
    return Regression()


class Classification:
    """Cross-entropy over classes; the confusion matrix and what was mistaken."""

    def __init__(self, config: ClassificationConfig, train: Examples, device: Device) -> None:
        self._config = config
        self._weights = class_weights(config, train)
        if self._weights is not None:
            self._weights = self._weights.to(device.device)

    def losses(self, network: Network, batch: Batch) -> LossSum:
        logits = network(batch.inputs).float()
        total = F.cross_entropy(
            logits, batch.targets, self._weights, reduction="sum", label_smoothing=self._config.label_smoothing
        )
        weight = len(logits) if self._weights is None else self._weights[batch.targets].sum()
        return LossSum(total, weight)

    def evaluate(self, network: Network, test: Examples, device: Device) -> Evaluation:
        logits = predict_set(network, test, device, mirror=self._config.mirror)
        labels = torch.from_numpy(np.array(test.targets))
        guessed, counts = logits.argmax(1), confusion(logits, labels)
        recalls = counts.diagonal() / counts.sum(1).clamp(min=1)
        metrics = {
            "eval/accuracy": float((guessed == labels).float().mean()),
            "eval/balanced_accuracy": float(recalls[counts.sum(1) > 0].mean()),
            "eval/loss": float(F.cross_entropy(logits, labels)),
        }
        rows = [[name, *row] for name, row in zip(test.classes, counts.tolist(), strict=True)]
        media: list[Media] = [Table("confusion", ["label", *test.classes], rows)]
        media.append(figures.confusion_matrix(counts, test.classes))
        if test.are_pictures:
            media += figures.misclassified(test, logits)
        return Evaluation(metrics, media)


class Regression:
    """Squared error, in units of the targets' variance, so that 1 is what the mean alone would have."""

    def losses(self, network: Network, batch: Batch) -> LossSum:
        scale = _scale(network)
        errors = (network(batch.inputs).float() - batch.targets) / scale
        return LossSum(errors.square().sum(), len(errors))

    def evaluate(self, network: Network, test: Examples, device: Device) -> Evaluation:
        # In double precision: a number of the table may be too large for its square.
        found, targets = predict_set(network, test, device).double(), torch.from_numpy(np.array(test.targets)).double()
        squared = (found - targets).square()
        variance = (targets - targets.mean()).square().mean()
        metrics = {
            "eval/loss": float((squared / _scale(network).cpu().double() ** 2).mean()),
            "eval/rmse": float(squared.mean().sqrt()),
            "eval/r2": float(1.0 - squared.mean() / variance) if variance > 0 else 0.0,
        }
        return Evaluation(metrics, [figures.fit(test, found)])


class Denoising:
    """Pictures from pictures with noise; how much of it is gone, in decibels."""

    def __init__(self, config: DenoisingConfig, seed: int) -> None:
        self._noise, self._seed = config.noise, seed

    def losses(self, network: Network, batch: Batch) -> LossSum:
        cleaned = network(self.noisy(batch.inputs, batch.which)).float()
        return LossSum((cleaned - batch.inputs).square().sum() / 4.0, cleaned.numel())

    def noisy(self, images: Tensor, which: Tensor) -> Tensor:
        return images + 2.0 * self._noise * Draws(self._seed, which, _NOISE).noise(images.shape[1:])

    def evaluate(self, network: Network, test: Examples, device: Device) -> Evaluation:
        before: list[Tensor] = []
        after: list[Tensor] = []
        shown: list[Tensor] = []
        for start in range(0, len(test), _BATCH):
            images = normalise(torch.from_numpy(np.array(test.inputs[start : start + _BATCH])).to(device.device))
            noisy = self.noisy(images, torch.arange(len(images), device=device.device) + (_TEST_NOISE + start))
            with torch.no_grad():
                cleaned = network(noisy).float()
            before.append(_squared(noisy, images))
            after.append(_squared(cleaned, images))
            if not shown:
                shown = [images.cpu(), noisy.cpu(), cleaned.cpu()]
        metrics = {
            "eval/loss": float(torch.cat(after).mean()),
            "eval/psnr_db": float(_decibels(torch.cat(after)).mean()),
            "eval/psnr_noisy_db": float(_decibels(torch.cat(before)).mean()),
        }
        return Evaluation(metrics, [figures.rows("denoised", shown, "pictures, with noise, cleaned")])


class Reconstruction:
    """Pictures from themselves through a bottleneck; what it was not trained on is rebuilt badly, and so found."""

    def __init__(self, config: ReconstructionConfig, classes: tuple[str, ...]) -> None:
        self._normal = [class_number(name, classes, "task.normal") for name in config.normal]

    def losses(self, network: Network, batch: Batch) -> LossSum:
        rebuilt = network(batch.inputs).float()
        return LossSum((rebuilt - batch.inputs).square().sum() / 4.0, rebuilt.numel())

    def evaluate(self, network: Network, test: Examples, device: Device) -> Evaluation:
        rebuilt = predict_set(network, test, device)
        images = normalise(torch.from_numpy(np.array(test.inputs)))
        scores = _squared(rebuilt, images)
        normal = torch.from_numpy(np.isin(test.targets, self._normal)) if self._normal else torch.ones(len(test)).bool()
        metrics = {"eval/loss": float(scores[normal].mean())}
        media: list[Media] = [figures.rows("rebuilt", [images, rebuilt], "pictures, rebuilt")]
        if self._normal:
            metrics["eval/auroc"] = auroc(scores, ~normal)
            media += figures.anomalies(test, scores, normal)
        return Evaluation(metrics, media)


def class_weights(config: ClassificationConfig, train: Examples) -> Tensor | None:
    """float32 [classes] of mean 1 over the examples, or None where all count the same. Raises UserError."""
    if config.class_weights == "none":
        return None
    counts = torch.bincount(torch.from_numpy(np.array(train.targets)), minlength=len(train.classes)).float()
    if config.class_weights == "balanced":
        return counts.sum() / (len(counts) * counts)
    if len(config.class_weights) != len(train.classes):
        raise UserError(
            f"task.class_weights has {len(config.class_weights)} numbers and there are {len(train.classes)} classes "
            f"({', '.join(train.classes)})"
        )
    weights = torch.tensor(config.class_weights)
    return weights * (counts.sum() / (weights * counts).sum())


@torch.no_grad()
def predict_set(network: Network, data: Examples, device: Device, *, mirror: bool = False) -> Tensor:
    """Of the network in evaluation mode to a whole set, [N, ...] on the CPU; the mean with the mirrored pictures'."""
    network.eval()
    parts = []
    for start in range(0, len(data), _BATCH):
        rows = torch.from_numpy(np.array(data.inputs[start : start + _BATCH])).to(device.device)
        parts.append(predict_batch(network, as_inputs(rows), mirror=mirror).cpu())
    return torch.cat(parts)


def predict_batch(network: Network, inputs: Tensor, *, mirror: bool = False) -> Tensor:
    """Of one batch as the network takes it; logits of mirror images are averaged as logarithms of probabilities."""
    found = network(inputs).float()
    return (found + network(inputs.flip(-1)).float()) / 2.0 if mirror and inputs.dim() == 4 else found


def as_inputs(rows: Tensor) -> Tensor:
    """uint8 pictures in [-1, 1], channels last; rows of a table as they are."""
    if rows.dtype != torch.uint8:
        return rows
    return normalise(rows).contiguous(memory_format=torch.channels_last)


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """int64 [classes, classes]: how many of each label (row) were taken for each class (column)."""
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(1), minlength=classes**2).view(classes, classes)


def auroc(scores: Tensor, positive: Tensor) -> float:
    """Area under the receiver operating characteristic of scores [N]: how often a positive has a higher score than
    a negative, ties counting half (Mann and Whitney 1947). 0.5 where there are none of either."""
    count, all_of_them = int(positive.sum()), len(scores)
    if not 0 < count < all_of_them:
        return 0.5
    _, inverse, counts = scores.double().unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts.double() - 1.0) / 2.0)[inverse]
    above = ranks[positive].sum() - count * (count + 1) / 2.0
    return float(above / (count * (all_of_them - count)))


def _scale(network: Network) -> Tensor:
    """The deviation of the targets."""
    return next(module for module in network.out.modules() if isinstance(module, Rescaled)).deviation


def _squared(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared error [B] of pictures whose range is 1."""
    return ((one.float() - other.float()).square().flatten(1).mean(1) / 4.0).cpu()


def _decibels(squared: Tensor) -> Tensor:
    """Peak signal-to-noise ratio."""
    return -10.0 * torch.log10(squared.clamp(min=1e-10))
