"""Training batches: gathered, normalised and augmented; small batches are prepared in blocks."""

from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.batches import Batches, alternating_flips
from lab.supervised.augment import augment
from lab.supervised.config import AugmentConfig
from lab.supervised.inference import as_inputs
from lab.supervised.tasks.task import Batch

# Launching an operation on a small batch costs more than the operation. Limits of a block in values and batches:
_BLOCK_NUMBERS, _BLOCK_BATCHES = 2**19, 32


class _Block(NamedTuple):
    first: int
    batch: Batch


class TrainingBatches:
    """This rank's `rows` of batches of `size` samples, on the device.

    An input depends only on the number of its sample, and the bounds of blocks only on the sizes: a run that resumes
    within a block gets the same batches.
    """

    def __init__(self, batches: Batches, config: AugmentConfig | None, seed: int, size: int, rows: slice) -> None:
        self._batches, self._config, self._seed = batches, config, seed
        self._size, self._rows = size, rows
        self._block: _Block | None = None

    def at(self, first: int) -> Batch:
        """The batch of samples first to first + size."""
        if self._rows != slice(0, self._size):
            return self._prepare(first + self._rows.start, self._rows.stop - self._rows.start, self._size)
        batches = max(1, min(_BLOCK_BATCHES, _BLOCK_NUMBERS // (self._size * self._batches.item_numbers)))
        span = self._size * batches
        start = first - first % span
        if first + self._size > start + span:  # an earlier batch had another size
            return self._prepare(first, self._size, self._size)
        if self._block is None or self._block.first != start:
            self._block = _Block(start, self._prepare(start, span, span))
        return part(self._block.batch, slice(first - start, first - start + self._size))

    def _prepare(self, start: int, count: int, step: int) -> Batch:
        inputs, targets = self._batches.at(start, count, step)
        assert targets is not None, "training_and_test() refuses a set without labels"
        values = as_inputs(inputs)
        if self._config is not None:
            mirrored = None
            if self._config.mirror == "alternate":
                mirrored = alternating_flips(self._seed, *self._batches.items(start, count))
            values = augment(values, self._config, self._seed, start, mirrored)
        return Batch(values, targets, torch.arange(start, start + count, device=values.device))


def part(batch: Batch, rows: slice) -> Batch:
    """The samples at `rows` of a batch."""
    fields: tuple[Tensor, ...] = batch
    return Batch(*(field[rows] for field in fields))
