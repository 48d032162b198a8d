"""Standardized targets: networks learn numbers of mean 0 and deviation 1, people read the numbers of the file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from lab.errors import UserError

_LARGEST_RANGE = 1e150  # the squared error, in the unit of the numbers squared, is a float


class NumberScale(NamedTuple):
    """Mean and standard deviation of the training targets; the default leaves numbers as they are."""

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def fitted(cls, numbers: Sequence[float], where: str) -> NumberScale:
        """The scale of these numbers; equal numbers are only shifted. Raises UserError for numbers too far apart."""
        mean = math.fsum(number / len(numbers) for number in numbers)
        if min(numbers) == max(numbers):
            return cls(numbers[0])
        largest = max(abs(number - mean) for number in numbers)
        if not max(numbers) - min(numbers) <= _LARGEST_RANGE:
            raise UserError(f"{where}: the answers lie further apart than {_LARGEST_RANGE:g}; scale them down")
        # Divided by the largest first: squares of large numbers would overflow.
        return cls(mean, largest * math.sqrt(math.fsum(((n - mean) / largest) ** 2 for n in numbers) / len(numbers)))

    def standardize(self, numbers: Tensor) -> Tensor:
        """Targets [N] for the network, float32. The difference is taken in float64: large means stay exact."""
        return ((numbers.double() - self.mean) / self.deviation).float()

    def restore(self, outputs: Tensor) -> Tensor:
        """Outputs of the network as numbers of the file, float64 on the CPU."""
        return outputs.cpu().double() * self.deviation + self.mean

    def text(self, number: float) -> str:
        """A number with four digits, or as many as tell numbers a hundredth of the deviation apart."""
        resolved = 2 + math.ceil(math.log10(abs(number) / self.deviation)) if number else 0
        text = f"{number:.{min(max(4, resolved), 17)}g}"
        return f"{number:.0f}" if "e+" in text and abs(number) < 1e15 else text


UNSCALED = NumberScale()
