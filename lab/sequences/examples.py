"""What a network learns from: inputs with answers, padded to tables."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lab.sequences.vocabulary import PAD, Symbols


class Examples(NamedTuple):
    """N examples. inputs int64 [N, S], padded behind `lengths` int64 [N].

    targets are int64 [N, T], padded and, where a sequence is written, ended; float32 [N] where they are numbers.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor

    def part(self, rows: slice) -> "Examples":
        return Examples(*(tensor[rows] for tensor in self))

    def to(self, device: torch.device) -> "Examples":
        return Examples(*(tensor.to(device) for tensor in self))

    def trimmed(self) -> "Examples":
        """Without the columns that are padding in every row; a host sync on CUDA."""
        targets = self.targets
        if not targets.is_floating_point():
            targets = targets[:, : int((targets != PAD).any(0).sum())]
        return Examples(self.inputs[:, : int(self.lengths.max())], self.lengths, targets)


class Data(Protocol):
    """Examples to learn from, endlessly, and others to be tested on."""

    @property
    def inputs(self) -> Symbols:
        """The symbols of the inputs."""
        ...

    @property
    def targets(self) -> Symbols | None:
        """Those of the answers; None where these are numbers."""
        ...

    @property
    def test(self) -> Examples:
        """On the CPU; no input of these is trained on, unless a person's own file for the test has it too."""
        ...

    @property
    def longest(self) -> tuple[int, int]:
        """Symbols of the longest input and of the longest answer, its end included."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for equal data: a run does not go on with other."""
        ...

    def at(self, start: int, count: int) -> Examples:
        """Training examples `start` to `start + count`, a pure function of their numbers."""
        ...
