"""Memory of a supervised run: its data, the network and a training step."""

import os

import torch
from torch import Tensor

from lab.data.tables import is_table
from lab.run.memory_needs import Need, activations, weights
from lab.supervised.config import SupervisedConfig
from lab.supervised.transfer import build_network
from lab.train.device import Device

_INPUTS = 4  # copies of a batch in float32 while it is augmented
_PER_CHARACTER = 8  # of a table: the text, its cells and their values


def data_needs(config: SupervisedConfig) -> list[Need]:
    """Memory of the files of the data, before they are read; images are mapped and copied once."""
    size = 0
    for name in (config.data.source, config.data.test_source):
        if name is not None and os.path.isfile(path := os.path.expanduser(name)):
            size += os.path.getsize(path) * (_PER_CHARACTER if is_table(name) else 1)
    return [Need("data.source", size, "the number of examples in data.source", on_device=False)]


def training_needs(config: SupervisedConfig, shape: tuple[int, ...], classes: int, device: Device) -> list[Need]:
    """Memory of the network and of a step, for inputs [C, R, R] or [F] of this shape."""
    training = config.training
    rows = min(training.micro_batch or training.batch_size, training.batch_size)
    with torch.device("meta"):
        network = build_network(config, shape, classes)
        inputs = torch.zeros(rows, *shape)

        def forward() -> Tensor:
            return network(inputs)

        step = activations(network, forward, device, reduce_with="training.micro_batch or training.batch_size")
    batch = training.batch_size * inputs[0].numel() * 4 * _INPUTS
    return [
        weights(network, training, reduce_with="the size of the network"),
        Need(step.what, step.size + batch, step.reduce_with),
    ]
