"""Reconstruction: an autoencoder, and anomaly detection by its error."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lab.config.limits import Width
from lab.data.batches import normalise
from lab.errors import UserError
from lab.nets.cnn import ImageDecoder
from lab.nets.init import HE
from lab.nets.layers import Linear
from lab.plots.figures import Curve, Plot, plot
from lab.plots.images import grid
from lab.plots.media import Image, Media
from lab.run.experiment import Evaluation
from lab.run.metrics import Metric
from lab.supervised.figures import image_rows
from lab.supervised.inference import predict_set
from lab.supervised.labelled_set import LabelledSet, class_index
from lab.supervised.network import Backbone, Network
from lab.supervised.ranking import AUROC, auroc
from lab.supervised.tasks.denoising import squared_errors
from lab.supervised.tasks.task import Batch, Loss, Names, Task
from lab.train.device import Device
from lab.train.step import LossSum

_DECODER = 128  # largest number of channels of the decoder
_SHOWN = 64  # images with the largest errors


class Reconstruction(Task):
    """Reconstruct images through a bottleneck. After training on some classes, others have larger errors."""

    metrics = (
        Metric("loss/reconstruction", "", "mean squared error of the batches, pixels in [0, 1]", "loss", False),
        AUROC,
        Metric("eval/loss", "", "the task's loss on the test set", "eval", False),
    )
    needs_images: ClassVar[bool] = True
    writes_images: ClassVar[bool] = True
    output_name: ClassVar[str] = "output"

    name: Literal["reconstruction"] = Field(default="reconstruction", description="Type of task.")
    code: Width = Field(default=16, description="Units of the bottleneck.")
    normal: Names = Field(default=(), description="Classes to train on; all others are anomalies to detect.")

    @property
    def best_metrics(self) -> tuple[str, ...]:
        return super().best_metrics if self.normal else ("eval/loss",)

    def select(self, train: LabelledSet, test: LabelledSet) -> LabelledSet:
        if not self.normal:
            return train
        normal = self._normal(train.classes)
        rows = np.flatnonzero(np.isin(train.targets, normal))
        if not len(rows):
            raise UserError(f"{train.name} has no sample of the classes of task.normal to train on")
        count = int(np.isin(test.targets, normal).sum())
        if count in (0, len(test)):
            which = "the classes of task.normal" if count == 0 else "any class but those of task.normal"
            raise UserError(f"{test.name} has no sample of {which} to test on: the evaluation compares the two")
        return train.subset(rows)

    def build(self, backbone: Backbone, shape: tuple[int, ...], classes: int) -> Network:
        channels, side, _ = shape
        widths = [max(16, _DECODER >> step) for step in range((side // 4).bit_length())]
        bottleneck = Linear(backbone.features, self.code, init=HE.with_gain(1.0))
        return backbone.with_output(nn.Sequential(bottleneck, ImageDecoder(self.code, widths, channels)))

    def loss(self, train: LabelledSet, device: Device, seed: int) -> Loss:
        def squared_error(network: Network, batch: Batch) -> LossSum:
            rebuilt = network(batch.inputs).float()
            return LossSum((rebuilt - batch.inputs).square().sum() / 4.0, rebuilt.numel())

        return squared_error

    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        rebuilt = predict_set(network, test, device)
        images = normalise(torch.from_numpy(np.array(test.inputs)))
        errors = squared_errors(rebuilt, images)
        normal = torch.ones(len(test)).bool()
        if self.normal:
            normal = torch.from_numpy(np.isin(test.targets, self._normal(test.classes)))
        metrics = {"eval/loss": float(errors[normal].mean())}
        media: list[Media] = [image_rows("rebuilt", [images, rebuilt], "rows: original, reconstruction")]
        if self.normal:
            metrics["eval/auroc"] = auroc(errors, ~normal)
            media += _anomalies(test, errors, normal)
        return Evaluation(metrics, media)

    def predictions(self, inputs: Tensor, outputs: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        errors = (outputs - inputs).square().flatten(1).mean(1) / 4.0
        return [{"error": error} for error in errors.tolist()]

    def _normal(self, classes: tuple[str, ...]) -> list[int]:
        return [class_index(name, classes, "task.normal") for name in self.normal]


def _anomalies(test: LabelledSet, errors: Tensor, normal: Tensor) -> list[Media]:
    """The images with the largest errors, and the distributions of the errors of normal images and anomalies."""
    worst = errors.argsort(descending=True, stable=True)[:_SHOWN].numpy()
    fractions = torch.linspace(0.0, 1.0, 101).double()
    curves = [
        Curve(name, errors[chosen].double().quantile(fractions).tolist(), fractions.tolist())
        for name, chosen in (("normal images", normal), ("anomalies", ~normal))
        if bool(chosen.any())
    ]
    drawn = Plot(
        curves, "distribution of errors, test set", "mean squared error", "fraction of images below", log_x=True
    )
    return [
        Image("rebuilt_worst", grid(torch.from_numpy(np.array(test.inputs[worst])), columns=8), "largest error first"),
        Image("errors", plot(drawn)),
    ]
