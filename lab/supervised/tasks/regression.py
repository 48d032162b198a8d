"""Regression: squared error relative to the variance of the targets."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
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
from lab.supervised.network import Backbone, Network
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
    output_name: ClassVar[str] = "value"

    name: Literal["regression"] = Field(default="regression", description="Type of task.")

    def build(self, backbone: Backbone, shape: tuple[int, ...], classes: int) -> Network:
        # Standardized numbers [B]; the preprocessing of the table brings them to their unit in double precision.
        return backbone.with_output(nn.Sequential(Linear(backbone.features, 1, init=HE.with_gain(1.0)), nn.Flatten(0)))

    def loss(self, train: LabelledSet, device: Device, seed: int) -> Loss:
        def squared_error(network: Network, batch: Batch) -> LossSum:
            errors = network(batch.inputs).float() - batch.targets
            return LossSum(errors.square().sum(), len(errors))

        return squared_error

    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        rows = test.table
        assert (
            rows.preprocessing is not None
            and rows.preprocessing.target_statistics is not None
            and rows.numbers is not None
        )
        found = rows.preprocessing.in_units(predict_set(network, test, device).numpy())
        # In deviations of the training targets: the squares of very large or small numbers leave the range of floats.
        deviation = rows.preprocessing.target_statistics.deviation
        loss = float(np.square((found - rows.numbers) / deviation).mean())
        variance = float(np.square((rows.numbers - rows.numbers.mean()) / deviation).mean())
        metrics = {
            "eval/loss": loss,
            "eval/rmse": float(np.sqrt(loss)) * deviation,
            "eval/r2": 1.0 - loss / variance if variance > 0 else 0.0,
        }
        return Evaluation(metrics, [_fit(test, found)])

    def predictions(self, inputs: Tensor, outputs: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        return [{"value": value} for value in outputs.tolist()]


def _fit(test: LabelledSet, found: np.ndarray) -> Image:
    """Target and prediction as functions of the input, if it is one number; else predictions against targets."""
    rows = test.table
    assert rows.numbers is not None
    target = rows.target
    if rows.inputs.shape[1] == 1 and rows.schema[0].kind == "number":
        kept = np.flatnonzero(np.isfinite(rows.inputs[:, 0]))
        order = kept[np.argsort(rows.inputs[kept, 0], kind="stable")]
        x = rows.inputs[order, 0].tolist()
        curves = [
            Curve("measured", x, rows.numbers[order].tolist(), dots=True),
            Curve("predicted", x, found[order].tolist(), colour=1),
        ]
        return Image("fit", plot(Plot(curves, f"{target}: prediction on the test set", test.columns[0], target)))
    low, high = float(rows.numbers.min()), float(rows.numbers.max())
    curves = [
        Curve("a test row", rows.numbers.tolist(), found.tolist(), dots=True),
        Curve("perfect prediction", [low, high], [low, high], dashed=True, colour=9),
    ]
    labels = f"{target}, measured", f"{target}, predicted"
    return Image("fit", plot(Plot(curves, f"{target}: prediction on the test set", *labels)))
