"""A trained classifier as a feature extractor."""

import logging
from pathlib import Path

import torch
from torch import Tensor

from lab import checkpoint as checkpoints
from lab.checkpoint import CheckpointError
from lab.config import load_run_config
from lab.data.batches import normalise
from lab.device import Device
from lab.errors import UserError
from lab.supervised.config import SupervisedConfig
from lab.supervised.network import Classifier

_log = logging.getLogger(__name__)


class Features:
    """uint8 [N, C, H, W] -> the last hidden layer, float32 [N, D], which `classify` takes -> int64 [N]."""

    def __init__(self, network: Classifier, channels: int, classes: tuple[str, ...], device: Device) -> None:
        self._network, self._device = network.to(device.device).eval(), device
        self.channels, self.classes = channels, classes

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        if images.shape[1] != self.channels:
            raise UserError(
                f"the classifier was trained on {self.channels} channels and these pictures have {images.shape[1]}"
            )
        return self._network.features(normalise(images.to(self._device.device))).float()

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor:
        return self._network.out(features.to(self._device.device)).argmax(1)


def load_features(run: Path, device: Device, checkpoint: str = checkpoints.BEST) -> Features:
    """The classifier of a supervised run's checkpoint: "best", "latest" or an iteration. Raises UserError."""
    config = load_run_config(run / "config.yaml")
    if not isinstance(config, SupervisedConfig):
        raise UserError(f"{run} is a run of kind {config.kind!r}, not supervised")
    path = checkpoints.choose(run, checkpoint, _log.warning)
    state = checkpoints.load(path)[0]
    try:
        weights = state["experiment"]["network"]
        channels, classes = weights["trunk.block0.conv.weight"].shape[1], len(weights["out.bias"])
        network = Classifier(config.network, channels, classes)
        network.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError):
        raise CheckpointError(f"{path}: its network is not that of the run's config.yaml") from None
    return Features(network, channels, tuple(str(k) for k in range(classes)), device)
