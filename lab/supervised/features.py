"""A trained classifier as a feature extractor."""

from pathlib import Path

import torch
from torch import Tensor

from lab.errors import UserError
from lab.run import checkpoint as checkpoints
from lab.supervised.inference import as_inputs
from lab.supervised.tasks.classification import Classification
from lab.supervised.transfer import Trained, load_trained
from lab.train.device import Device


class Features:
    """uint8 [N, C, H, W] -> features of the last hidden layer float32 [N, D]; `classify` maps them to int64 [N]."""

    def __init__(self, trained: Trained) -> None:
        self._network, self._device = trained.network, trained.device
        self.channels, self.classes = trained.shape[0], trained.classes

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        if images.shape[1] != self.channels:
            raise UserError(
                f"the classifier was trained on {self.channels} channels and these images have {images.shape[1]}"
            )
        return self._network.features(as_inputs(images.to(self._device.device))).float()

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        return self._network.out(features.to(self._device.device)).argmax(1)


def load_features(run: Path, device: Device, checkpoint: str = checkpoints.BEST) -> Features:
    """The classifier of a supervised run's checkpoint: "best", "latest" or an iteration. Raises UserError."""
    trained = load_trained(run, device, checkpoint)
    if not isinstance(trained.config.task, Classification) or len(trained.shape) != 3:
        raise UserError(f"{run} is not an image classifier, which features need")
    return Features(trained)
