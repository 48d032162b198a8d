"""Denoising: remove Gaussian noise from images."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lab.data.augment import Draws
from lab.data.batches import normalise
from lab.nets.init import HE
from lab.nets.layers import Conv2d
from lab.run.experiment import Evaluation
from lab.run.metrics import Metric
from lab.supervised.baselines.images import filtered
from lab.supervised.figures import image_rows
from lab.supervised.inference import BATCH
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.network import Backbone, Network
from lab.supervised.tasks.task import Batch, Loss, Task
from lab.train.device import Device
from lab.train.step import LossSum

_OPERATION = 99  # number of this random operation; those of the augmentation are lower
_FIRST_TEST_IMAGE = 10**12  # number of test image 0 in the draws of noise


class Denoising(Task):
    """Remove noise from images; the network predicts the noise."""

    metrics = (
        Metric("loss/denoising", "", "mean squared error of the denoised batches, pixels in [0, 1]", "loss", False),
        Metric("eval/psnr_db", "dB", "peak signal-to-noise ratio of the denoised test images", "eval", True),
        Metric("eval/loss", "", "the task's loss on the test set", "eval", False),
        Metric("eval/psnr_noisy_db", "dB", "peak signal-to-noise ratio of the noisy test images", "eval"),
    )
    needs_images: ClassVar[bool] = True
    writes_images: ClassVar[bool] = True
    output_name: ClassVar[str] = "output"
    networks: ClassVar[tuple[str, ...]] = ("tower",)  # the others reduce the resolution

    name: Literal["denoising"] = Field(default="denoising", description="Type of task.")
    noise: float = Field(
        default=0.1, gt=0.0, le=1.0, description="Standard deviation of the noise as a fraction of the pixel range."
    )

    def build(self, backbone: Backbone, shape: tuple[int, ...], classes: int) -> Network:
        out = Conv2d(backbone.features, shape[0], 3, init=HE.with_gain(1.0))
        return Network(backbone.stem, backbone.trunk, nn.Identity(), nn.Identity(), out, residual=True)

    def loss(self, train: LabelledSet, device: Device, seed: int) -> Loss:
        def squared_error(network: Network, batch: Batch) -> LossSum:
            denoised = network(self.add_noise(batch.inputs, batch.numbers, seed)).float()
            return LossSum((denoised - batch.inputs).square().sum() / 4.0, denoised.numel())

        return squared_error

    def add_noise(self, images: Tensor, numbers: Tensor, seed: int) -> Tensor:
        """Images [B, C, R, R] with noise that depends only on the seed and the sample's number."""
        return images + 2.0 * self.noise * Draws(seed, numbers, _OPERATION).noise(images.shape[1:])

    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        before: list[Tensor] = []
        after: list[Tensor] = []
        shown: list[Tensor] = []
        for images, noisy in self._test_images(test, device.device, seed):
            with torch.no_grad():
                denoised = network(noisy).float()
            before.append(squared_errors(noisy, images))
            after.append(squared_errors(denoised, images))
            if not shown:
                shown = [images.cpu(), noisy.cpu(), denoised.cpu()]
        metrics = {
            "eval/loss": float(torch.cat(after).mean()),
            "eval/psnr_db": float(_decibels(torch.cat(after)).mean()),
            "eval/psnr_noisy_db": float(_decibels(torch.cat(before)).mean()),
        }
        return Evaluation(metrics, [image_rows("denoised", shown, "rows: original, noisy, denoised")])

    def baselines(self, train: LabelledSet, test: LabelledSet, seed: int) -> dict[str, Mapping[str, float]]:
        found: dict[str, list[Tensor]] = {}
        before: list[Tensor] = []
        for images, noisy in self._test_images(test, torch.device("cpu"), seed):
            before.append(squared_errors(noisy, images))
            for name, after in filtered(noisy, 2.0 * self.noise).items():
                found.setdefault(name, []).append(squared_errors(after, images))
        noisy_db = float(_decibels(torch.cat(before)).mean())
        return {
            name: {"eval/psnr_db": float(_decibels(torch.cat(parts)).mean()), "eval/psnr_noisy_db": noisy_db}
            for name, parts in found.items()
        }

    def _test_images(self, test: LabelledSet, device: torch.device, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of test images [B, C, R, R] and the same with noise, which does not depend on the batch."""
        for start in range(0, len(test), BATCH):
            images = normalise(torch.from_numpy(np.array(test.inputs[start : start + BATCH])).to(device))
            numbers = torch.arange(len(images), device=device) + (_FIRST_TEST_IMAGE + start)
            yield images, self.add_noise(images, numbers, seed)

    def predictions(self, inputs: Tensor, outputs: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        return [{} for _ in outputs]


def squared_errors(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared errors [B] of images in [-1, 1], scaled to pixels in [0, 1]."""
    return ((one.float() - other.float()).square().flatten(1).mean(1) / 4.0).cpu()


def _decibels(squared: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB."""
    return -10.0 * torch.log10(squared.clamp(min=1e-10))
