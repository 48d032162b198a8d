"""Generated data: unlimited training examples, and test examples that a hash of the input separates from them."""

import torch
from torch import Tensor

from lab import rng
from lab.errors import UserError
from lab.sequences.batch import SequenceBatch
from lab.sequences.number_scale import UNSCALED
from lab.sequences.tasks import TASKS, Task, drawer
from lab.sequences.vocabulary import Vocabulary

_BLOCK = 4096  # examples generated at a time
CANDIDATES = 20_000  # drawn to find the test examples
_SALT = 0x5E9


class GeneratedData:
    """Examples of a task. One input in `held_out` belongs to the test set, by its hash, for every seed."""

    scale = UNSCALED  # sums of a few digits are learned as they are

    def __init__(
        self, name: str, task: Task, seed: int, device: torch.device, *, held_out: int = 16, test_count: int = 1000
    ) -> None:
        self.task, self.fingerprint = task, f"{name} of {task.longest[0]}, 1 in {held_out} held out"
        self._seed, self._device, self._held_out = seed, device, held_out
        self._blocks: dict[int, SequenceBatch] = {}
        some = self._draw(0, torch.arange(CANDIDATES))
        held = self.is_held_out(some)
        if not held.any() or held.all():
            raise UserError(f"{name} has too few inputs at this size to hold some out for the test: raise data.size")
        # Each input once, in the order of hashes: any other order would prefer frequent inputs.
        of_test = _rows(some, held.nonzero()[:, 0])
        _, first = _unique(self._hash(of_test))
        self.test = _rows(of_test, first[:test_count])

    @property
    def inputs(self) -> Vocabulary:
        return self.task.inputs

    @property
    def targets(self) -> Vocabulary | None:
        return self.task.targets

    @property
    def longest(self) -> tuple[int, int]:
        return self.task.longest

    def at(self, start: int, count: int) -> SequenceBatch:
        """Examples on the device."""
        first, last = start // _BLOCK, max(start, start + count - 1) // _BLOCK
        blocks = [self._block(number) for number in range(first, last + 1)]
        rows = slice(start - first * _BLOCK, start - first * _BLOCK + count)
        return SequenceBatch(*(torch.cat(parts)[rows] for parts in zip(*blocks, strict=True)))

    def is_held_out(self, examples: SequenceBatch) -> Tensor:
        """bool [N]: whether the input of an example belongs to the test set."""
        return self._hash(examples) % self._held_out == 0

    def _block(self, number: int) -> SequenceBatch:
        """The examples of a block, which are generated together, as operations on few rows cost as much."""
        found = self._blocks.get(number)
        if found is None:
            if len(self._blocks) >= 2:
                self._blocks.clear()
            found = self._blocks[number] = self._make_block(number)
        return found

    def _make_block(self, number: int) -> SequenceBatch:
        """Generate a block; examples of the test set are drawn again."""
        numbers = torch.arange(number * _BLOCK, (number + 1) * _BLOCK, device=self._device)
        examples, attempt = self._draw(0, numbers), 0
        while len(rows := self.is_held_out(examples).nonzero()[:, 0]):
            attempt += 1
            for table, again in zip(examples, self._draw(attempt, numbers[rows]), strict=True):
                table[rows] = again
        return examples

    def _draw(self, attempt: int, numbers: Tensor) -> SequenceBatch:
        return self.task.draw(drawer(self._seed, int(rng.Stream.EXAMPLE), attempt, numbers), numbers)

    def _hash(self, examples: SequenceBatch) -> Tensor:
        """Hashes of the inputs, non-negative int64 [N]: a sum of tokens with an odd random weight for each position."""
        places = torch.arange(examples.inputs.shape[1], device=examples.inputs.device)
        weights = rng.random_bits(_SALT, int(rng.Stream.HELD_OUT), places) | 1
        return rng.integers(2**62, _SALT, int(rng.Stream.HELD_OUT), (examples.inputs * weights).sum(1))


def generate_data(name: str, size: int | None, seed: int, device: torch.device, held_out: int = 16) -> GeneratedData:
    """The data of a task by its name; size: by default that of the task."""
    made = TASKS[name]
    return GeneratedData(name, made.make(size or made.default), seed, device, held_out=held_out)


def _rows(examples: SequenceBatch, rows: Tensor) -> SequenceBatch:
    return SequenceBatch(*(tensor[rows] for tensor in examples))


def _unique(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted distinct values [M] and the index of the first occurrence of each [M]."""
    distinct, inverse = values.unique(return_inverse=True)
    places = torch.arange(len(values))
    first = torch.full((len(distinct),), len(values)).scatter_reduce(0, inverse, places, "amin")
    return distinct, first
