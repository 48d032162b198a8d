"""Statistics of the returns of episodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 10_000
_AT_ONCE = 1 << 22
"""Draws that are held at once."""


class ReturnStatistics(NamedTuple):
    """Mean of E returns with its 95% interval, standard deviation, and quantiles from the smallest to the largest.

    interval, std: None of a single return.
    """

    episodes: int
    mean: float
    interval: tuple[float, float] | None
    std: float | None
    minimum: float
    quartiles: tuple[float, float, float]
    maximum: float


def summarise(returns: NDArray[np.float64]) -> ReturnStatistics:
    """Statistics of returns [E]. The interval of the mean is a percentile bootstrap (Efron and Tibshirani 1993)."""
    several = len(returns) > 1
    low, high = np.quantile(_resampled_means(returns), [0.025, 0.975])
    first, median, third = (float(value) for value in np.quantile(returns, [0.25, 0.5, 0.75]))
    return ReturnStatistics(
        episodes=len(returns),
        mean=float(returns.mean()),
        interval=(float(low), float(high)) if several else None,
        std=float(returns.std(ddof=1)) if several else None,
        minimum=float(returns.min()),
        quartiles=(first, median, third),
        maximum=float(returns.max()),
    )


def _resampled_means(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of samples of E returns, drawn with replacement."""
    random, rows = np.random.default_rng(0), max(1, _AT_ONCE // len(returns))
    sizes = [min(rows, _RESAMPLES - first) for first in range(0, _RESAMPLES, rows)]
    return np.concatenate([returns[random.integers(0, len(returns), (n, len(returns)))].mean(1) for n in sizes])
