"""Examples as padded tensors, and the interface of data sets."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lab.sequences.number_scale import NumberScale
from lab.sequences.vocabulary import PAD, Vocabulary


class SequenceBatch(NamedTuple):
    """N examples: inputs int64 [N, S], padded after `lengths` int64 [N].

    targets: ids int64 [N, T], padded, with an end if the target is a sequence; or numbers [N]: of training
    examples standardized and float32, of test examples those of the file.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor

    def part(self, rows: slice) -> "SequenceBatch":
        return SequenceBatch(*(tensor[rows] for tensor in self))

    def to(self, device: torch.device) -> "SequenceBatch":
        return SequenceBatch(*(tensor.to(device) for tensor in self))

    def trimmed(self) -> "SequenceBatch":
        """The batch without columns that are all padding; costs a host sync on CUDA."""
        targets = self.targets
        if not targets.is_floating_point():
            targets = targets[:, : int((targets != PAD).any(0).sum())]
        return SequenceBatch(self.inputs[:, : int(self.lengths.max())], self.lengths, targets)


class SequenceData(Protocol):
    """Unlimited training examples, and test examples."""

    @property
    def inputs(self) -> Vocabulary:
        """Vocabulary of the inputs."""
        ...

    @property
    def targets(self) -> Vocabulary | None:
        """Vocabulary of the targets; None for numbers."""
        ...

    @property
    def scale(self) -> NumberScale:
        """Scale of the targets if they are numbers."""
        ...

    @property
    def test(self) -> SequenceBatch:
        """Test examples on the CPU. Training never uses their inputs, unless `data.test_source` repeats some."""
        ...

    @property
    def longest(self) -> tuple[int, int]:
        """Tokens of the longest input and of the longest target, its end included."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the data; a run is not resumed with other data."""
        ...

    def at(self, start: int, count: int) -> SequenceBatch:
        """Training examples `start` to `start + count`, a pure function of their numbers."""
        ...
