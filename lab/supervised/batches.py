"""Batches as a network takes them: gathered, normalised and augmented, several at a time where they are small."""

from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.batches import Batches
from lab.supervised.augment import augment
from lab.supervised.config import AugmentConfig
from lab.supervised.tasks import Batch, as_inputs

# Operations on a small batch cost more to begin than to do: so many numbers are prepared at once, of so many batches.
_TOGETHER, _MOST = 2**19, 32


class _Piece(NamedTuple):
    first: int
    batch: Batch


class Prepared:
    """This rank's `rows` of batches of `size` examples, on the device.

    What is made of an example depends on its number alone, and where a piece of several batches begins on the sizes:
    a run that goes on in the middle of one makes the same of it.
    """

    def __init__(self, batches: Batches, config: AugmentConfig | None, seed: int, size: int, rows: slice) -> None:
        self._batches, self._config, self._seed = batches, config, seed
        self._size, self._rows = size, rows
        self._piece: _Piece | None = None

    def at(self, first: int) -> Batch:
        """The batch of the examples first to first + size."""
        if self._rows != slice(0, self._size):
            return self._made(first + self._rows.start, self._rows.stop - self._rows.start, self._size)
        batches = max(1, min(_MOST, _TOGETHER // (self._size * self._batches.item_numbers)))
        span = self._size * batches
        start = first - first % span
        if first + self._size > start + span:  # batches once had another size
            return self._made(first, self._size, self._size)
        if self._piece is None or self._piece.first != start:
            self._piece = _Piece(start, self._made(start, span, span))
        chosen = slice(first - start, first - start + self._size)
        return Batch(*(field[chosen] for field in self._piece.batch))

    def _made(self, start: int, count: int, step: int) -> Batch:
        inputs, targets = self._batches.at(start, count, step)
        assert targets is not None, "examples_of() refuses a set without labels"
        values = as_inputs(inputs)
        if self._config is not None:
            values = augment(values, self._config, self._seed, start)
        return Batch(values, targets, torch.arange(start, start + count, device=values.device))


def part(batch: Batch, rows: slice) -> Batch:
    """Some of its examples."""
    fields: tuple[Tensor, ...] = batch
    return Batch(*(field[rows] for field in fields))
