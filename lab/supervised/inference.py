"""Outputs of a network for batches and whole sets."""

import numpy as np
import torch
from torch import Tensor

from lab.data.batches import normalise
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.network import Network
from lab.train.device import Device

BATCH = 256


def as_inputs(rows: Tensor) -> Tensor:
    """uint8 images -> float32 in [-1, 1], channels last; rows of a table stay as they are."""
    if rows.dtype != torch.uint8:
        return rows
    return normalise(rows).contiguous(memory_format=torch.channels_last)


def predict_batch(network: Network, inputs: Tensor, *, mirror: bool = False) -> Tensor:
    """Outputs for network inputs; mirror: outputs are averaged over images and their mirror images (for logits this is
    the geometric mean of probabilities).
    """
    outputs = network(inputs).float()
    return (outputs + network(inputs.flip(-1)).float()) / 2.0 if mirror and inputs.dim() == 4 else outputs


@torch.no_grad()
def predict_set(network: Network, data: LabelledSet, device: Device, *, mirror: bool = False) -> Tensor:
    """Put the network in evaluation mode and return its outputs [N, ...] on the CPU."""
    network.eval()
    parts = []
    for start in range(0, len(data), BATCH):
        rows = torch.from_numpy(np.array(data.inputs[start : start + BATCH])).to(device.device)
        parts.append(predict_batch(network, as_inputs(rows), mirror=mirror).cpu())
    return torch.cat(parts)
