"""The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks", section 3.3)."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

LEAST_STEPS = 20
_SMOOTHING = 0.9
_DIVERGED = 4.0  # times the lowest loss


class RangeTest(NamedTuple):
    """Learning rates and smoothed losses until divergence; `suggestion` is None if the loss never fell."""

    rates: list[float]
    losses: list[float]
    suggestion: float | None


def range_test(step: Callable[[float], Tensor], first: float, last: float, steps: int) -> RangeTest:
    """Call `step(learning rate) -> loss` at rates that rise from `first` to `last` by a constant factor.

    It stops when the smoothed loss exceeds four times its minimum. The suggestion is the rate of the fastest fall.
    """
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for index in range(steps):
        rate = first * (last / first) ** (index / (steps - 1))
        mean = _SMOOTHING * mean + (1.0 - _SMOOTHING) * float(step(rate))
        smooth = mean / (1.0 - _SMOOTHING ** (index + 1))
        if not math.isfinite(smooth) or (index >= LEAST_STEPS and smooth > _DIVERGED * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
    return RangeTest(rates, losses, _steepest(rates, losses))


def _steepest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate of the fastest fall of the loss, before its minimum."""
    if len(losses) < 3:
        return None
    low = losses.index(min(losses))
    slopes = [losses[i + 1] - losses[i - 1] for i in range(1, low)]
    if not slopes or min(slopes) >= 0:
        return None
    return rates[1 + slopes.index(min(slopes))]
