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
from typing import Any

from lab.config.suggestions import shortened
from lab.errors import UserError
from lab.files import durable
from lab.files.plain import check_own_file, open_regular, parse_json

STRICT = "LAB_STRICT_METRICS"
_LONGEST_LINE = 1 << 20  # bytes; a line of 1,000 metrics has a tenth of it
_DEPTH = 2  # the nesting of a line
_LONGEST_S = 1e11  # 3,000 years; a timedelta ends at 8.6e13
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
        self._file = path.open("a", encoding="utf-8", newline="\n", buffering=1)

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
    """All entries in order; [] without a file. Incomplete and damaged lines are skipped.

    Raises UserError when `path` is a folder, a device or cannot be read.
    """
    return [entry for _, entry in _lines(path) if entry is not None]


def cut_back(path: Path, iteration: int) -> int:
    """Drop every entry after `iteration` and every damaged line, atomically; return the number of dropped lines.

    Raises UserError as `read`.
    """
    lines = list(_lines(path))
    kept = [line for line, entry in lines if entry is not None and entry.iteration <= iteration]
    if len(kept) < len(lines):
        durable.write_durably(path, b"".join(line + b"\n" for line in kept))
    return len(lines) - len(kept)


def missing_until(path: Path, iteration: int) -> str:
    """A line if the record of a run that was saved at `iteration` ends before it, as when it was deleted; else ""."""
    last = max((entry.iteration for entry in read(path)), default=0)
    if last >= iteration:
        return ""
    lost = f"those after iteration {last} and up to" if last else "those up to"
    return f"{path} is incomplete or gone: {lost} iteration {iteration} are lost"


def _lines(path: Path) -> Iterator[tuple[bytes, Entry | None]]:
    """Every line with its entry, which is None, and the line empty, where it is damaged or still being written."""
    damaged: list[int] = []
    for number, line in enumerate(_raw_lines(path), start=1):
        entry = None
        # A line without its newline is still being written, even if it can be parsed.
        if line.endswith(b"\n"):
            try:
                entry = _entry(parse_json(line, depth=_DEPTH))
            except (ValueError, LookupError, TypeError, OverflowError):
                damaged.append(number)
        yield (b"", None) if entry is None else (line[:-1], entry)
    if damaged:
        what = f"line {damaged[0]} is" if len(damaged) == 1 else f"{len(damaged)} lines from line {damaged[0]} on are"
        _log.warning("%s, %s damaged and skipped", path, what)


def _raw_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, with their newlines; of one that is too long a newline alone."""
    try:
        with open_regular(path) as file:
            while line := file.readline(_LONGEST_LINE):
                if len(line) < _LONGEST_LINE:
                    yield line
                    continue
                while not line.endswith(b"\n") and (line := file.readline(_LONGEST_LINE)):
                    pass
                yield b"\n"
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"the metrics {path} cannot be read: {error.strerror or error}") from None


def _entry(line: Any) -> Entry:
    """Raises TypeError, ValueError, LookupError or OverflowError for what `MetricsLog` does not write."""
    counters, metrics = line["counters"], line["metrics"]
    if not (isinstance(counters, dict) and isinstance(metrics, dict)):
        raise TypeError("counters and metrics are mappings")
    entry = Entry(
        iteration=_whole(line["iteration"]),
        counters={name: _whole(value) for name, value in counters.items()},
        metrics={name: math.nan if value is None else _number(value) for name, value in metrics.items()},
        seconds=_number(line["seconds"]),
    )
    if entry.iteration < 0 or not 0.0 <= entry.seconds <= _LONGEST_S:
        raise ValueError("the iteration or the time is out of range")
    return entry


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{shortened(value)} is not a number")
    return float(value)


def _whole(value: Any) -> int:
    if _number(value) != int(value) or abs(int(value)) >= 2**63:
        raise ValueError(f"{shortened(value)} is not a whole number of 64 bits")
    return int(value)


def _finite(value: float) -> float | None:
    # float() first: numpy and tensor scalars are not JSON.
    number = float(value)
    return number if math.isfinite(number) else None


def _cut_half_line(path: Path) -> None:
    """Remove the incomplete last line that a crash can leave: the next entry would be appended to it."""
    check_own_file(path)
    try:
        with open_regular(path) as file:
            size = end = os.fstat(file.fileno()).st_size
            newline = -1
            while end and newline < 0:
                start = max(0, end - _LONGEST_LINE)
                file.seek(start)
                newline = file.read(end - start).rfind(b"\n")
                end = start
            keep = end + newline + 1
    except FileNotFoundError:
        return
    if keep < size:
        os.truncate(path, keep)
