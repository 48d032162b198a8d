"""Comparison of training curves at equal cost: values between two evaluations, and gains with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import NamedTuple

from lab.run.metrics import Entry


class Point(NamedTuple):
    """An evaluation: the progress and the cost until then, the seconds of its iterations, and its value."""

    progress: float
    cost: float
    seconds: float
    value: float


class Gain(NamedTuple):
    """Mean gain over seeds and the half-width of its 95% interval, NaN with one seed."""

    mean: float
    half_width: float


def points(entries: Sequence[Entry], metric: str, *, progress: str, cost: str) -> list[Point]:
    """The evaluations of a run in order. progress and cost: names of counters.

    The seconds are those of `time/iteration_s`: evaluations and checkpoints, which no training needs, are not counted.
    """
    seconds, found = 0.0, []
    for entry in entries:
        seconds += entry.metrics.get("time/iteration_s", 0.0)
        value = entry.metrics.get(metric, math.nan)
        if math.isfinite(value):
            found.append(Point(entry.counters[progress], entry.counters[cost], seconds, value))
    return found


def value_at(curve: Sequence[Point], axis: str, amount: float) -> float:
    """The value at an amount of "cost" or "seconds": linear between the evaluations around it.

    Before the first evaluation it is that of the first. Raises ValueError where the curve ends more than 2% earlier.
    """
    places = [getattr(point, axis) for point in curve]
    if not places or places[-1] < 0.98 * amount:
        raise ValueError(f"the curve ends before {amount} {axis}")
    if amount <= places[0]:
        return curve[0].value
    for (before, start), (after, end) in pairwise(zip(places, curve, strict=True)):
        if amount <= after:
            return start.value + (end.value - start.value) * (amount - before) / (after - before)
    return curve[-1].value


def gain(differences: Sequence[float]) -> Gain:
    """The mean of the differences of paired runs, one per seed, with its interval (Student's t)."""
    if len(differences) < 2:
        return Gain(fmean(differences), math.nan)
    from scipy.stats import t

    quantile = float(t.ppf(0.975, len(differences) - 1))
    return Gain(fmean(differences), quantile * stdev(differences) / math.sqrt(len(differences)))
