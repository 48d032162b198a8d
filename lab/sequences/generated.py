"""Generated data: endless examples, and test examples that a hash of the input keeps out of them."""

import torch
from torch import Tensor

from lab import rng
from lab.errors import UserError
from lab.sequences.examples import Examples
from lab.sequences.symbols import Symbols
from lab.sequences.tasks import TASKS, Task, drawer

_ROUNDS = 6  # draws of one training example; all of them are held out less than once in ten million
_CANDIDATES = 20_000  # drawn to find the test examples
_SALT = 0x5E9


class Generated:
    """A task's examples. One input in `held_out` belongs to the test, by its hash alone: in every run, for any seed."""

    def __init__(
        self, name: str, task: Task, seed: int, device: torch.device, *, held_out: int = 16, test_count: int = 1000
    ) -> None:
        self.task, self.fingerprint = task, f"{name} of {task.longest[0]}, 1 in {held_out} held out"
        self._seed, self._device, self._held_out = seed, device, held_out
        some = self._drawn(0, torch.arange(_CANDIDATES))
        held = self.is_held_out(some)
        if not held.any():
            raise UserError(f"none of the inputs of {name} at this size falls to the test: raise data.size")
        self._fallback = _rows(some, (~held).nonzero()[:1, 0])
        # Each input once; by their hash, as equal inputs would crowd to the front in any other order.
        of_test = _rows(some, held.nonzero()[:, 0])
        _, first = _unique(self._hash(of_test))
        self.test = _rows(of_test, first[:test_count])

    @property
    def inputs(self) -> Symbols:
        return self.task.inputs

    @property
    def targets(self) -> Symbols | None:
        return self.task.targets

    @property
    def longest(self) -> tuple[int, int]:
        return self.task.longest

    def at(self, start: int, count: int) -> Examples:
        """On the device: of several draws for each number the first that is not held out."""
        numbers = torch.arange(start, start + count, device=self._device).repeat_interleave(_ROUNDS)
        rounds = torch.arange(1, _ROUNDS + 1, device=self._device).repeat(count)
        drawn = self._drawn(rounds, numbers)
        free = ~self.is_held_out(drawn).view(count, _ROUNDS)
        which = torch.arange(count, device=self._device) * _ROUNDS + free.long().argmax(1)
        found = free.any(1)
        columns = []
        for tensor, fallback in zip(drawn, self._fallback, strict=True):
            chosen = tensor[which]
            columns.append(torch.where(found.view(-1, *[1] * (chosen.dim() - 1)), chosen, fallback.to(self._device)))
        return Examples(*columns)

    def is_held_out(self, examples: Examples) -> Tensor:
        """bool [N]: whether the test may ask for an example's input."""
        return self._hash(examples) % self._held_out == 0

    def _drawn(self, rounds: Tensor | int, numbers: Tensor) -> Examples:
        return self.task.draw(drawer(self._seed, int(rng.Stream.EXAMPLE), rounds, numbers), numbers)

    def _hash(self, examples: Examples) -> Tensor:
        """Non-negative int64 [N] of the inputs: every place weighs its token with an odd number of its own."""
        places = torch.arange(examples.inputs.shape[1], device=examples.inputs.device)
        weights = rng.random_bits(_SALT, int(rng.Stream.HELD_OUT), places) | 1
        return rng.integers(2**62, _SALT, int(rng.Stream.HELD_OUT), (examples.inputs * weights).sum(1))


def generated(name: str, size: int | None, seed: int, device: torch.device, held_out: int = 16) -> Generated:
    """The data of the task called `name`."""
    made = TASKS[name]
    return Generated(name, made.make(size or made.usual), seed, device, held_out=held_out)


def _rows(examples: Examples, rows: Tensor) -> Examples:
    return Examples(*(tensor[rows] for tensor in examples))


def _unique(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted distinct values [M] and where each occurs first, [M]."""
    distinct, inverse = values.unique(return_inverse=True)
    places = torch.arange(len(values))
    first = torch.full((len(distinct),), len(values)).scatter_reduce(0, inverse, places, "amin")
    return distinct, first
