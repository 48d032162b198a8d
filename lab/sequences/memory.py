"""Memory of a sequences run: its text, the network and a training step."""

import os

import torch
from torch import Tensor

from lab.nets.rnn import set_padding_masked
from lab.run.memory_needs import Need, activations, weights
from lab.sequences.config import SequencesConfig
from lab.sequences.generated import CANDIDATES
from lab.sequences.network import DataSizes
from lab.sequences.shapes import build_network
from lab.sequences.tasks import TASKS
from lab.train.device import Device

_GENERATED = 2 * 8  # bytes of a token of the candidates that the test examples are chosen from
_PER_BYTE = 24  # the text, its tokens as a list and as a tensor, and padding
_STEPS = 8  # of a long sequence that are counted; each further step takes as much


def data_needs(config: SequencesConfig) -> list[Need]:
    """Memory of the files of the examples, before they are read, or of generated examples."""
    size = 0
    if config.data.task is not None:
        task = TASKS[config.data.task]
        longest = sum(task.make(config.data.size or task.default).longest)
        return [Need("the examples", CANDIDATES * longest * _GENERATED, "data.size", on_device=False)]
    for name in (config.data.source, config.data.test_source):
        if name is not None and os.path.isfile(path := os.path.expanduser(name)):
            size += os.path.getsize(path)
    return [Need("the text of data.source", size * _PER_BYTE, "the number of examples in data.source", on_device=False)]


def training_needs(config: SequencesConfig, sizes: DataSizes, longest: tuple[int, int], device: Device) -> list[Need]:
    """Memory of the network and of a step on the longest sequences, as tokens of input and target."""
    training, kind = config.training, config.network.kind
    rows = min(training.micro_batch or training.batch_size, training.batch_size)
    steps = longest[0] if kind.fixed_length else min(longest[0], _STEPS)
    written = min(longest[1], _STEPS) if kind.writes else steps
    scale = max(longest[0] / steps, longest[1] / written if kind.writes else 1.0)
    with torch.device("meta"):
        network = build_network(config.network, sizes)
        set_padding_masked(network, True)  # packing needs values
        inputs = torch.zeros(rows, steps, dtype=torch.int64)
        lengths = torch.full((rows,), steps)
        targets = torch.zeros(rows, written, dtype=torch.int64)

        def forward() -> Tensor:
            outputs: Tensor = network(inputs, lengths, targets)
            return outputs if config.predicts_numbers else outputs.log_softmax(-1)

        step = activations(network, forward, device, reduce_with="training.micro_batch or training.batch_size")
    return [
        weights(network, training, reduce_with="network.hidden or network.layers"),
        Need(step.what, step.size * scale, step.reduce_with),
    ]
