"""Anomalies among the rows of a table: a network is trained on normal rows alone and scores all others.

An autoencoder (network.name=mlp) scores a row by its reconstruction error, each column relative to its usual error. A
normalising flow (network.name=flow) scores it by its negative log-density.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lab.config.limits import Width
from lab.data.augment import Draws
from lab.errors import UserError
from lab.nets.init import HE
from lab.nets.layers import Linear
from lab.nets.mlp import MLP
from lab.plots.figures import Curve, Plot, plot
from lab.plots.media import Image
from lab.run.experiment import Evaluation
from lab.run.metrics import Metric
from lab.supervised.baselines.anomalies import scores_of_baselines
from lab.supervised.inference import predict_set
from lab.supervised.labelled_set import LabelledSet, class_index
from lab.supervised.network import Backbone, Network
from lab.supervised.ranking import AUPRC, AUROC, auroc, average_precision
from lab.supervised.tasks.task import Batch, Loss, Names, Task
from lab.train.device import Device
from lab.train.step import LossSum

_OPERATION = 98  # number of this random operation among those of the augmentation and of denoising


class Autoencoder(Network):
    """Rows [B, F] -> log-densities [B] of their reconstruction errors, normal with a learned deviation per column."""

    def __init__(self, backbone: Backbone, out: nn.Module, columns: int) -> None:
        super().__init__(backbone.stem, backbone.trunk, backbone.pool, backbone.hidden, out)
        self.log_deviation = nn.Parameter(torch.zeros(columns))

    def forward(self, inputs: Tensor) -> Tensor:
        # A deviation of 0.01 at least: a column that is rebuilt exactly would decide everything.
        logs = self.log_deviation.clamp_min(math.log(0.01))
        errors = (inputs - self.out(self.features(inputs)).float()) * (-logs).exp()
        return -(0.5 * errors.square() + logs + 0.5 * math.log(2.0 * math.pi)).sum(1)


class Anomalies(Task):
    """Score rows of a table by how unlike the normal ones they are; trained on normal rows alone."""

    metrics = (
        Metric("loss/anomalies", "nats", "negative log-density of the rows of the training batches", "loss", False),
        AUPRC,
        AUROC,
        Metric("eval/loss", "", "the task's loss on the test set", "eval", False),
    )
    output_name: ClassVar[str] = "output"
    networks: ClassVar[tuple[str, ...]] = ("mlp", "flow")

    name: Literal["anomalies"] = Field(default="anomalies", description="Type of task.")
    normal: Names = Field(default=(), min_length=1, description="Classes to train on; all others are anomalies.")
    code: Width = Field(default=4, description="Units of the autoencoder's bottleneck.")
    noise: float = Field(
        default=0.0,
        ge=0.0,
        le=10.0,
        description="Standard deviation of noise that is added to the standardized training rows, against overfitting.",
    )

    def select(self, train: LabelledSet, test: LabelledSet) -> LabelledSet:
        if train.has_images:
            raise UserError(f"task.name=anomalies reads tables and {train.name} has images: use reconstruction")
        normal = self._is_normal(train)
        if not normal.any():
            raise UserError(f"{train.name} has no row of the classes of task.normal to train on")
        if self._is_normal(test).all() or not self._is_normal(test).any():
            raise UserError(f"{test.name} needs normal rows and anomalies to test on: the evaluation compares the two")
        return train.subset(np.flatnonzero(normal))

    def build(self, backbone: Backbone, shape: tuple[int, ...], classes: int) -> Network:
        if backbone.is_density:
            return backbone.with_output(nn.Identity())
        widths = [layer.out_features for layer in backbone.trunk.modules() if isinstance(layer, Linear)]
        code = Linear(backbone.features, self.code, init=HE.with_gain(1.0))
        decoder = MLP(self.code, widths[::-1], shape[0])
        return Autoencoder(backbone, nn.Sequential(code, decoder), shape[0])

    def loss(self, train: LabelledSet, device: Device, seed: int) -> Loss:
        def score(network: Network, batch: Batch) -> LossSum:
            rows = batch.inputs
            if self.noise:
                rows = rows + self.noise * Draws(seed, batch.numbers, _OPERATION).noise(rows.shape[1:])
            return LossSum(-network(rows).float().sum(), len(rows))

        return score

    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        scores = -predict_set(network, test, device)
        normal = torch.from_numpy(self._is_normal(test))
        metrics = {**self._ranked(scores, test), "eval/loss": float(scores[normal].mean())}
        return Evaluation(metrics, [_distributions(scores, normal)])

    def baselines(self, train: LabelledSet, test: LabelledSet, seed: int) -> dict[str, Mapping[str, float]]:
        found = scores_of_baselines(train.inputs, test.inputs, seed)
        return {name: self._ranked(torch.from_numpy(scores), test) for name, scores in found.items()}

    def predictions(self, inputs: Tensor, outputs: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        return [{"score": score} for score in (-outputs).tolist()]

    def _ranked(self, scores: Tensor, test: LabelledSet) -> dict[str, float]:
        anomalous = ~torch.from_numpy(self._is_normal(test))
        return {
            "eval/auprc": average_precision(scores, anomalous),
            "eval/auroc": auroc(scores, anomalous),
        }

    def _is_normal(self, data: LabelledSet) -> np.ndarray:
        """bool [N]"""
        numbers = [class_index(name, data.classes, "task.normal") for name in self.normal]
        return np.isin(data.targets, numbers)


def _distributions(scores: Tensor, normal: Tensor) -> Image:
    fractions = torch.linspace(0.0, 1.0, 101).double()
    curves = [
        Curve(name, scores[chosen].double().quantile(fractions).tolist(), fractions.tolist())
        for name, chosen in (("normal rows", normal), ("anomalies", ~normal))
    ]
    return Image("scores", plot(Plot(curves, "distribution of scores, test set", "score", "fraction of rows below")))
