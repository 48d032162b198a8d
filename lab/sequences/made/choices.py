"""Random choices for made texts: choice k of text i is a function of (seed, i, k)."""

from collections.abc import Sequence
from typing import TypeVar

import torch

from lab import rng

_T = TypeVar("_T")


class Choices:
    """The choices of one text, in the order of the calls. Raises IndexError after the last of its numbers."""

    def __init__(self, uniforms: Sequence[float]) -> None:
        self._uniforms, self._next = uniforms, 0

    def uniform(self) -> float:
        """The next number in (0, 1)."""
        self._next += 1
        return self._uniforms[self._next - 1]

    def pick(self, options: Sequence[_T]) -> _T:
        """One of the options, all equally probable."""
        return options[int(self.uniform() * len(options))]

    def happens(self, probability: float) -> bool:
        return self.uniform() < probability


def choices_of_texts(seed: int, count: int, *, most: int) -> list[Choices]:
    """The choices of texts 0 to `count`, at most `most` of each."""
    numbers = torch.arange(count)[:, None]
    drawn = rng.uniform(seed, int(rng.Stream.EXAMPLE), numbers, torch.arange(most)).tolist()
    return [Choices(row) for row in drawn]


def phrases(text: str) -> tuple[str, ...]:
    """The phrases of a text that are separated by |."""
    return tuple(" ".join(phrase.split()) for phrase in text.split("|"))
