"""A trained classifier as a feature extractor."""

from pathlib import Path

import torch
from torch import Tensor

from lab import checkpoint as checkpoints
from lab.config import load_run_config
from lab.data.batches import normalise
from lab.device import Device
from lab.errors import UserError
from lab.supervised.config import SupervisedConfig
from lab.supervised.network import Classifier


class Features:
    """uint8 [N, C, H, W] -> the last hidden layer, float32 [N, D]; `classify` -> int64 [N]."""

    def __init__(self, network: Classifier, channels: int, classes: tuple[str, ...], device: Device) -> None:
        self._network, self._device = network.to(device.device).eval(), device
        self.channels, self.classes = channels, classes

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        return self._network.features(self._prepared(images)).float()

    @torch.no_grad()
    def classify(self, images: Tensor) -> Tensor:
        return self._network(self._prepared(images)).argmax(1)

    def _prepared(self, images: Tensor) -> Tensor:
        if images.shape[1] != self.channels:
            raise UserError(
                f"the classifier was trained on {self.channels} channels and these pictures have {images.shape[1]}"
            )
        return normalise(images.to(self._device.device))


def load_features(run: Path, device: Device, checkpoint: str = "best") -> Features:
    """The classifier of a supervised run, its best checkpoint if there is one, else the latest. Raises UserError."""
    config = load_run_config(run / "config.yaml")
    if not isinstance(config, SupervisedConfig):
        raise UserError(f"{run} is a run of kind {config.kind!r}, not supervised")
    path: Path | None = run / "checkpoints" / checkpoint
    if path is None or not path.is_dir():
        path = checkpoints.latest_valid(run / "checkpoints", report=lambda line: None)
    if path is None:
        raise UserError(f"run {run.name!r} has no checkpoint yet")
    weights = checkpoints.load(path)[0]["experiment"]["network"]
    channels = weights["trunk.block0.conv.weight"].shape[1]
    classes = weights["out.bias"].shape[0]
    network = Classifier(config.network, channels, classes)
    network.load_state_dict(weights)
    return Features(network, channels, tuple(str(k) for k in range(classes)), device)
