"""Classification: cross-entropy, accuracy, confusion matrix and the most confident misclassifications."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from lab.config.limits import SideOrZero
from lab.errors import UserError
from lab.nets.init import HE
from lab.nets.layers import Linear
from lab.plots.figures import Matrix, labelled_images, matrices
from lab.plots.media import Cell, Image, Media, Table
from lab.run.experiment import Evaluation
from lab.run.metrics import Metric
from lab.supervised.inference import Views, predict_set
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.network import Backbone, Network, Scale
from lab.supervised.tasks.task import Batch, Loss, Task
from lab.train.device import Device
from lab.train.step import LossSum

_SHOWN = 64  # misclassified images
_NAME = 28  # letters of a class in the confusion matrix
_LISTED = 16  # rows of their table


class Classification(Task):
    """Classes of images or table rows, by cross-entropy."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("loss/classification", "nats", "cross-entropy of the training batches", "loss", False),
        Metric("eval/accuracy", "fraction", "test samples classified correctly", "eval", True),
        Metric("eval/balanced_accuracy", "fraction", "accuracy per class, mean over the classes", "eval", True),
        Metric("eval/loss", "", "the task's loss on the test set", "eval", False),
    )

    name: Literal["classification"] = Field(default="classification", description="Type of task.")
    class_weights: Literal["none", "balanced"] | tuple[PositiveFloat, ...] = Field(
        default="none", description="Weight of each class in the loss; balanced: inverse to its number of samples."
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Fraction of the target probability that is distributed over all classes.",
    )
    mirror: bool = Field(default=False, description="Average predictions over each image and its mirror image.")
    shift: SideOrZero = Field(
        default=0,
        description="Average predictions also over the image shifted by so many pixels up and left, and down and "
        "right; with mirror six views.",
    )

    @property
    def views(self) -> Views:
        return Views(self.mirror, self.shift)

    def build(self, backbone: Backbone, shape: tuple[int, ...], classes: int) -> Network:
        if len(shape) == 3 and self.shift >= shape[1]:
            raise UserError(f"task.shift={self.shift} moves an image of {shape[1]} pixels out of sight: lower it")
        gain = 1.0 if backbone.logit_std is None else backbone.logit_std * math.sqrt(backbone.features)
        out: nn.Module = Linear(backbone.features, classes, bias=backbone.logit_bias, init=HE.with_gain(gain))
        if backbone.logit_scale is not None:
            out = nn.Sequential(out, Scale(backbone.logit_scale))
        return backbone.with_output(out)

    def loss(self, train: LabelledSet, device: Device, seed: int) -> Loss:
        weights = weights_of_classes(self, train)
        weights = None if weights is None else weights.to(device.device)

        def cross_entropy(network: Network, batch: Batch) -> LossSum:
            logits = network(batch.inputs).float()
            total = F.cross_entropy(
                logits, batch.targets, weights, reduction="sum", label_smoothing=self.label_smoothing
            )
            return LossSum(total, len(logits) if weights is None else weights[batch.targets].sum())

        return cross_entropy

    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        logits = predict_set(network, test, device, views=self.views)
        labels = torch.from_numpy(np.array(test.targets))
        counts = confusion_counts(logits, labels)
        recalls = counts.diagonal() / counts.sum(1).clamp(min=1)
        metrics = {
            "eval/accuracy": float((logits.argmax(1) == labels).float().mean()),
            "eval/balanced_accuracy": float(recalls[counts.sum(1) > 0].mean()),
            "eval/loss": float(F.cross_entropy(logits, labels)),
        }
        rows = [[name, *row] for name, row in zip(test.classes, counts.tolist(), strict=True)]
        columns = ["true class", *(f"predicted {name}" for name in test.classes)]
        media: list[Media] = [Table("confusion", columns, rows), _matrix(counts, test.classes)]
        if test.has_images:
            media += _misclassified(test, logits)
        return Evaluation(metrics, media)

    def predictions(self, inputs: Tensor, outputs: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        probabilities = outputs.softmax(1)
        best, chosen = probabilities.max(1)
        return [
            {"class": classes[index], "probability": top, "probabilities": dict(zip(classes, row, strict=True))}
            for index, top, row in zip(chosen.tolist(), best.tolist(), probabilities.tolist(), strict=True)
        ]


def weights_of_classes(task: Classification, train: LabelledSet) -> Tensor | None:
    """Weights float32 [classes] with mean 1 over the samples, or None for equal weights. Raises UserError."""
    if task.class_weights == "none":
        return None
    counts = torch.bincount(torch.from_numpy(np.array(train.targets)), minlength=len(train.classes)).float()
    if task.class_weights == "balanced":
        return counts.sum() / (len(counts) * counts)
    if len(task.class_weights) != len(train.classes):
        raise UserError(
            f"task.class_weights has {len(task.class_weights)} numbers and there are {len(train.classes)} classes "
            f"({', '.join(train.classes)})"
        )
    weights = torch.tensor(task.class_weights)
    return weights * (counts.sum() / (weights * counts).sum())


def confusion_counts(logits: Tensor, labels: Tensor) -> Tensor:
    """int64 [classes, classes]: samples of each label (row) predicted as each class (column)."""
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(1), minlength=classes**2).view(classes, classes)


def _matrix(counts: Tensor, classes: Sequence[str]) -> Image:
    numbers = counts.numpy()
    fractions = numbers / np.maximum(numbers.sum(1, keepdims=True), 1)
    names = short_names(classes)
    drawn = Matrix(
        fractions, names, names, "confusion matrix of the test set", "true class", "predicted class", numbers
    )
    return Image("confusion_matrix", matrices([drawn]), "shade: fraction of the samples of the true class")


def short_names(names: Sequence[str]) -> list[str]:
    """Names of at most 28 letters, which stay different: both ends are kept, else a number is added."""
    short: list[str] = []
    for name in names:
        shown = name if len(name) <= _NAME else f"{name[: _NAME - 9]}…{name[-8:]}"
        short.append(shown if shown not in short else f"{shown[: _NAME - 6]}… #{len(short) + 1}")
    return short


def _misclassified(test: LabelledSet, logits: Tensor) -> list[Media]:
    """The most confident misclassifications as images and as a table; [] if there are none."""
    labels, probabilities = torch.from_numpy(test.targets), logits.softmax(1)
    confidence, predicted = probabilities.max(1)
    wrong = (predicted != labels).nonzero().flatten()
    if not len(wrong):
        return []
    worst = wrong[confidence[wrong].argsort(descending=True, stable=True)][:_SHOWN]
    names, guesses = ([test.classes[int(indices[i])] for i in worst] for indices in (labels, predicted))
    pixels = labelled_images(np.array(test.inputs[worst.numpy()]), names, guesses)
    listed: list[list[Cell]] = [
        [int(i), label, guess, round(float(confidence[i]), 4)]
        for i, label, guess in zip(worst[:_LISTED], names, guesses, strict=False)
    ]
    caption = f"{len(wrong):,} of {len(test):,} misclassified, most confident first: true class, prediction in red"
    return [
        Image("misclassified", pixels, caption),
        Table("mistakes", ["image", "true class", "predicted class", "probability"], listed),
    ]
