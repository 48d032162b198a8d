"""Time until a run reached a fixed strength: the seconds of its iterations until its metric reached a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lab.run.metrics import Entry


class Reached(NamedTuple):
    """The evaluation that reached the target: seconds of training until then, its entry in the record, and value."""

    seconds: float
    entry: Entry
    value: float


def time_to_target(entries: Sequence[Entry], metric: str, target: float, *, higher_is_better: bool) -> Reached | None:
    """The first evaluation at least as good as the target; None where no evaluation was.

    Only iterations are counted (`time/iteration_s`): evaluations and checkpoints are no part of training.
    """
    seconds = 0.0
    for entry in entries:
        seconds += entry.metrics.get("time/iteration_s", 0.0)
        value = entry.metrics.get(metric, math.nan)
        if value >= target if higher_is_better else value <= target:
            return Reached(seconds, entry, value)
    return None


def best_value(entries: Sequence[Entry], metric: str, *, higher_is_better: bool) -> float | None:
    """The best finite value of a metric; None without one."""
    values = [value for entry in entries if math.isfinite(value := entry.metrics.get(metric, math.nan))]
    return (max if higher_is_better else min)(values, default=None)
