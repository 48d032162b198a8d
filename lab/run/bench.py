"""Measuring speed: calls per second of a workload, compared with its essential operations alone."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lab.run.memory import memory_mb
from lab.train.device import Device

_ROUNDS = 3
_CALLS_IN_FLIGHT = 8  # between waits for the device


@dataclass(frozen=True)
class Comparison:
    """Calls per second of a workload and of its essential operations, medians of rounds; `ratio`: the median ratio."""

    calls_per_s: float
    bare_calls_per_s: float
    ratio: float


def synchronize(device: Device) -> None:
    """Wait until the device has finished all queued operations."""
    if device.device.type == "cuda":
        torch.cuda.synchronize(device.device)
    elif device.device.type == "mps":
        torch.mps.synchronize()


class Stopwatch:
    """Adds up the wall time of calls."""

    def __init__(self, call: Callable[..., Any], device: Device) -> None:
        self._call, self._device = call, device
        self.seconds = 0.0

    def __call__(self, *args: Any, **options: Any) -> Any:
        synchronize(self._device)
        start = time.perf_counter()
        result = self._call(*args, **options)
        synchronize(self._device)
        self.seconds += time.perf_counter() - start
        return result


def rate(work: Callable[[], object], seconds: float, device: Device) -> float:
    """Calls per second over about `seconds`, two calls at least."""
    calls, start = 0, time.perf_counter()
    while calls < 2 or time.perf_counter() - start < seconds:
        work()
        calls += 1
        if calls % _CALLS_IN_FLIGHT == 0:
            synchronize(device)
    synchronize(device)
    return calls / (time.perf_counter() - start)


def compare(
    work: Callable[[], object], bare: Callable[[], object], seconds: float, device: Device, rounds: int = _ROUNDS
) -> Comparison:
    """Measure both in turns, `seconds` each per round, as the speed of a machine drifts. First calls are not timed."""
    work()
    bare()
    pairs = [(rate(work, seconds, device), rate(bare, seconds, device)) for _ in range(rounds)]
    ours, theirs = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return Comparison(ours, theirs, statistics.median(one / other for one, other in pairs))


def environment(device: Device) -> dict[str, object]:
    """Device, threads and precision, which every record of a measurement states."""
    return {"device": str(device.device), "threads": torch.get_num_threads(), "precision": device.precision}


def peak_memory_mb() -> float | None:
    """Peak memory so far in MB, of the process or of the accelerator, whichever is larger; None if not known."""
    return max(memory_mb().values(), default=None)
