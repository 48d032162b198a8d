"""Outputs of a network for batches and whole sets."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.batches import normalise
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.network import Network
from lab.train.device import Device

BATCH = 256


def as_inputs(rows: Tensor) -> Tensor:
    """uint8 images -> float32 in [-1, 1], channels last; int16 sound -> float32; rows of a table stay as they are."""
    if rows.dtype == torch.int16:
        return rows.float() / 32768.0
    if rows.dtype != torch.uint8:
        return rows
    return normalise(rows).contiguous(memory_format=torch.channels_last)


class Views(NamedTuple):
    """Views of an image at test time: itself, and those that the settings add.

    mirror: the mirror images of all views. shift: the image shifted by so many pixels up and left, and down and right,
    reflected at the border (Jordan 2024, section 3.5).
    """

    mirror: bool = False
    shift: int = 0

    def of(self, images: Tensor) -> list[Tensor]:
        """The views of images [B, C, R, R], each [B, C, R, R]. A shift must be smaller than R."""
        views = [images]
        if self.shift:
            height, width = images.shape[2:]
            padded = F.pad(images, [self.shift] * 4, "reflect")
            views += [padded[:, :, at : at + height, at : at + width] for at in (0, 2 * self.shift)]
        return [*views, *(view.flip(-1) for view in views)] if self.mirror else views


ONE_VIEW = Views()


def predict_batch(network: Network, inputs: Tensor, *, views: Views = ONE_VIEW) -> Tensor:
    """Outputs for network inputs, averaged over the views of an image (for logits this is the geometric mean of
    probabilities).
    """
    if inputs.dim() != 4 or views == ONE_VIEW:
        return network(inputs).float()
    outputs = [network(view.contiguous(memory_format=torch.channels_last)).float() for view in views.of(inputs)]
    return torch.stack(outputs).mean(0)


@torch.no_grad()
def predict_set(network: Network, data: LabelledSet, device: Device, *, views: Views = ONE_VIEW) -> Tensor:
    """Put the network in evaluation mode and return its outputs [N, ...] on the CPU."""
    network.eval()
    parts = []
    for start in range(0, len(data), BATCH):
        rows = torch.from_numpy(np.array(data.inputs[start : start + BATCH])).to(device.device)
        parts.append(predict_batch(network, as_inputs(rows), views=views).cpu())
    return torch.cat(parts)
