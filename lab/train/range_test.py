"""The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks", section 3.3)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

LEAST_STEPS = 20
_SKIPPED = 1 / 15  # of the steps at the start: they show how noisy batches are, not what a rate does
_START = 1 / 5  # of the steps after those: their median is the loss before any fall
_BANDWIDTH = 1 / 19  # of the steps: standard deviation of the smoothing kernel, a third of a decade by default
_MEDIAN = 5  # losses per running median, which takes out single batches
_FALLEN = 0.6  # of the whole fall, at the suggested rate
_LEAST_FALL = 0.05  # of the loss at the start
_SIGNIFICANT = 7.0  # standard errors of a smoothed loss: noise alone passes in about 1% of the tests
_DIVERGED = 2.0  # times the loss at the start


class RangeTest(NamedTuple):
    """Learning rates until the loss diverged, the loss of each step, and the smoothed losses.

    start, lowest: smoothed loss before any fall and at its minimum, None if the first loss is not finite. suggestion:
    None where no fall was seen.
    still_falling: the minimum is at the last rate, so that a higher one may be better.
    """

    rates: list[float]
    raw: list[float]
    losses: list[float]
    start: float | None
    lowest: float | None
    suggestion: float | None
    still_falling: bool

    @property
    def suggested_loss(self) -> float | None:
        """The smoothed loss at the suggestion."""
        return None if self.suggestion is None else self.losses[self.rates.index(self.suggestion)]


def range_test(step: Callable[[float], Tensor], first: float, last: float, steps: int) -> RangeTest:
    """Call `step(learning rate) -> loss` at rates that rise from `first` to `last` by a constant factor.

    It stops when the loss exceeds twice that of the start. The suggestion is the rate at which 60% of the fall has
    happened, which lies in its steep part. The steepest point itself depends on the noise of a few batches.
    """
    rates: list[float] = []
    raw: list[float] = []
    skipped = max(1, round(_SKIPPED * steps))
    early = slice(skipped, skipped + max(3, round(_START * steps)))
    for index in range(steps):
        rate = first * (last / first) ** (index / (steps - 1))
        loss = float(step(rate))
        if not math.isfinite(loss):
            break
        rates.append(rate)
        raw.append(loss)
        if index >= early.stop:
            start = float(np.median(raw[early]))
            if np.median(raw[-_MEDIAN:]) > start + (_DIVERGED - 1.0) * abs(start):
                break
    if len(raw) < early.stop:
        return RangeTest(rates, raw, list(raw), raw[0] if raw else None, min(raw, default=None), None, False)
    start = float(np.median(raw[early]))
    smooth = _smoothed(np.array(raw), start, max(1.0, _BANDWIDTH * steps))
    low = skipped + int(np.argmin(smooth[skipped:]))
    lowest, fall = float(smooth[low]), start - float(smooth[low])
    # From differences of neighbours, which unlike the deviation do not see a fall; single outliers do not count.
    noise = 1.05 * float(np.median(np.abs(np.diff(raw[: early.stop]))))
    error = noise / math.sqrt(2.0 * math.sqrt(math.pi) * max(1.0, _BANDWIDTH * steps))
    suggestion = None
    if low > skipped and fall > max(_LEAST_FALL * abs(start), _SIGNIFICANT * error):
        above = np.flatnonzero(smooth[:low] > start - _FALLEN * fall)
        suggestion = rates[int(above[-1]) + 1 if len(above) else skipped]
    return RangeTest(rates, raw, smooth.tolist(), start, lowest, suggestion, low == len(raw) - 1)


def _smoothed(losses: np.ndarray, start: float, bandwidth: float) -> np.ndarray:
    """Losses [N], smoothed: running medians, then a local linear fit, which does not flatten the ends."""
    reach = _MEDIAN // 2 if bandwidth > 2.0 else 1
    medians = np.array([np.median(losses[max(0, i - reach) : i + reach + 1]) for i in range(len(losses))])
    medians = np.minimum(medians, start + _DIVERGED * abs(start))  # divergence must not bend the curve before it
    distance = np.arange(len(losses))[None] - np.arange(len(losses))[:, None]
    kernel = np.exp(-0.5 * (distance / bandwidth) ** 2)
    s0, s1, s2 = (np.sum(kernel * distance**power, 1) for power in range(3))
    t0, t1 = kernel @ medians, (kernel * distance) @ medians
    return (s2 * t0 - s1 * t1) / (s0 * s2 - s1**2)
