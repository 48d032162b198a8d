"""Metrics: the catalogue with the meaning of each name, and the log, which is their only record.

Every view of a run (terminal, `lab show`, W&B) is derived from its `metrics.jsonl`.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.files import durable

STRICT = "LAB_STRICT_METRICS"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """One metric: its unit, its meaning and the panel that shows it.

    `name` is "group/what", with the unit as suffix where there is one. `higher_is_better` is None when
    neither direction is (a count, a temperature); then no best value is shown.
    """

    name: str
    unit: str
    meaning: str
    panel: str
    higher_is_better: bool | None = None


class Catalogue(Mapping[str, Metric]):
    """An immutable set of metrics by name; `a | b` joins two. Raises ValueError if a name has two meanings."""

    def __init__(self, metrics: Iterable[Metric] = ()) -> None:
        self._metrics: dict[str, Metric] = {}
        self._warned: set[str] = set()
        for metric in metrics:
            if self._metrics.setdefault(metric.name, metric) != metric:
                raise ValueError(f"metric {metric.name!r} is catalogued twice with different meanings")

    def __getitem__(self, name: str) -> Metric:
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __or__(self, other: Catalogue) -> Catalogue:
        return Catalogue([*self.values(), *other.values()])

    def check(self, names: Iterable[str]) -> None:
        """Check that names are listed: KeyError when LAB_STRICT_METRICS=1, else one warning per name.

        Only tests are strict: an unlisted name must not end a long run.
        """
        for name in names:
            if name in self._metrics or name in self._warned:
                continue
            if os.environ.get(STRICT) == "1":
                raise KeyError(f"metric {name!r} is not in the catalogue")
            self._warned.add(name)
            _log.warning("metric %r is not in the catalogue", name)


LOOP_METRICS = Catalogue(
    [
        Metric("time/iteration_s", "s", "one iteration, without evaluation and checkpoint", "time", False),
        Metric("time/evaluation_s", "s", "the evaluation after this iteration", "time", False),
        Metric("time/checkpoint_s", "s", "writing the checkpoint after this iteration", "time", False),
        Metric("eval/at_iteration", "", "evaluated iteration, if training continued during the evaluation", "eval"),
        Metric("system/process_memory_mb", "MB", "peak resident memory of the process so far", "memory", False),
        Metric("system/device_memory_mb", "MB", "peak accelerator memory allocated so far", "memory", False),
    ]
)
"""Metrics of the run loop, recorded for every kind of experiment."""


@dataclass(frozen=True)
class Entry:
    """One line of `metrics.jsonl`. `seconds` is training time so far, continuing over resumes.

    An iteration has one line; an evaluation or a checkpoint adds another line with the same iteration.
    """

    iteration: int
    counters: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


Sink = Callable[[Entry], None]
"""Called with every entry once it is written. It handles its own errors: they never end a run."""


class MetricsLog:
    """Appends entries to a `metrics.jsonl`, each visible to readers as soon as `append` returns."""

    def __init__(self, path: Path) -> None:
        _cut_half_line(path)
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def append(self, iteration: int, counters: Mapping[str, int], metrics: Mapping[str, float], seconds: float) -> None:
        """Write one line. NaN and infinities, which JSON lacks, are written as null and read back as NaN."""
        line = {
            "iteration": iteration,
            "counters": dict(counters),
            "metrics": {name: _finite(value) for name, value in metrics.items()},
            "seconds": round(seconds, 3),
        }
        self._file.write(json.dumps(line, allow_nan=False) + "\n")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read(path: Path) -> list[Entry]:
    """All entries in order; [] without a file. Incomplete and damaged lines are skipped."""
    return [entry for _, entry in _lines(path)]


def cut_back(path: Path, iteration: int) -> int:
    """Drop every entry after `iteration` and every damaged line, atomically; return the number of dropped lines."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    before = len(data.splitlines())
    kept = [line for line, entry in _lines(path) if entry.iteration <= iteration]
    if len(kept) == before and data.endswith(b"\n"):
        return 0
    durable.write_durably(path, b"".join(line + b"\n" for line in kept))
    return before - len(kept)


def _lines(path: Path) -> Iterator[tuple[bytes, Entry]]:
    if not path.exists():
        return
    # A line without its newline is still being written, even if it can be parsed.
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            yield line, _entry(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            _log.warning("%s, line %d is damaged and skipped", path, number)


def _entry(line: dict[str, object]) -> Entry:
    counters, metrics = line["counters"], line["metrics"]
    if not (isinstance(counters, dict) and isinstance(metrics, dict)):
        raise TypeError("counters and metrics are mappings")
    return Entry(
        iteration=int(line["iteration"]),  # type: ignore[call-overload]
        counters={name: int(value) for name, value in counters.items()},
        metrics={name: math.nan if value is None else float(value) for name, value in metrics.items()},
        seconds=float(line["seconds"]),  # type: ignore[arg-type]
    )


def _finite(value: float) -> float | None:
    # float() first: numpy and tensor scalars are not JSON.
    number = float(value)
    return number if math.isfinite(number) else None


def _cut_half_line(path: Path) -> None:
    """Remove the incomplete last line that a crash can leave: the next entry would be appended to it."""
    if not path.exists():
        return
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)
