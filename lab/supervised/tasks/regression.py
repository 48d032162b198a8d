"""Regression: squared error relative to the variance of the targets."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lab.nets.init import HE
from lab.nets.layers import Linear
from lab.plots.figures import Curve, Plot, plot
from lab.plots.media import Image
from lab.run.experiment import Evaluation
from lab.run.metrics import Metric
from lab.supervised.inference import predict_set
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.network import Backbone, Network, Unstandardize
from lab.supervised.tasks.task import Batch, Loss, Task
from lab.train.device import Device
from lab.train.step import LossSum


class Regression(Task):
    """Predict a number for each row of a table; a loss of 1 equals that of predicting the mean."""

    metrics = (
        Metric("loss/regression", "", "squared error of the batches over the variance of the targets", "loss", False),
        Metric("eval/r2", "fraction", "variance of the test targets that is explained", "eval", True),
        Metric("eval/rmse", "", "root mean squared error in the unit of the target", "eval", False),
        Metric("eval/loss", "", "the task's loss on the test set", "eval", False),
    )
    targets: ClassVar[Literal["classes", "numbers"]] = "numbers"

    name: Literal["regression"] = Field(default="regression", description="Type of task.")

    def build(self, backbone: Backbone, shape: tuple[int, ...], classes: int) -> Network:
        return backbone.with_output(
            nn.Sequential(Linear(backbone.features, 1, init=HE.with_gain(1.0)), Unstandardize())
        )

    def loss(self, train: LabelledSet, device: Device, seed: int) -> Loss:
        def squared_error(network: Network, batch: Batch) -> LossSum:
            errors = (network(batch.inputs).float() - batch.targets) / _deviation(network)
            return LossSum(errors.square().sum(), len(errors))

        return squared_error

    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        # Double precision: the square of a large target may exceed float32.
        found, targets = predict_set(network, test, device).double(), torch.from_numpy(np.array(test.targets)).double()
        squared = (found - targets).square()
        variance = (targets - targets.mean()).square().mean()
        metrics = {
            "eval/loss": float((squared / _deviation(network).cpu().double() ** 2).mean()),
            "eval/rmse": float(squared.mean().sqrt()),
            "eval/r2": float(1.0 - squared.mean() / variance) if variance > 0 else 0.0,
        }
        return Evaluation(metrics, [_fit(test, found)])

    def predictions(self, inputs: Tensor, outputs: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        return [{"value": value} for value in outputs.tolist()]


def _deviation(network: Network) -> Tensor:
    """Standard deviation of the training targets."""
    return next(module for module in network.out.modules() if isinstance(module, Unstandardize)).deviation


def _fit(test: LabelledSet, found: Tensor) -> Image:
    """Target and prediction as functions of the input, if it is one column; else predictions against targets."""
    targets = np.asarray(test.targets)
    if test.inputs.shape[1] == 1:
        order = np.argsort(test.inputs[:, 0])
        x = test.inputs[order, 0].tolist()
        curves = [Curve("target", x, targets[order].tolist()), Curve("network", x, found[order].tolist())]
        return Image("fit", plot(Plot(curves, "target and prediction, test set", test.columns[0], "target")))
    ends = [float(targets.min()), float(targets.max())]
    curves = [
        Curve("prediction = target", ends, ends),
        Curve("test rows", targets.tolist(), found.tolist(), dots=True),
    ]
    return Image("fit", plot(Plot(curves, "predictions of the test set", "target", "prediction")))
