"""The trials of a sweep: ordinary runs in runs/<sweep>/<trial>, each trained by `lab` in a process of its own."""

import ctypes
import math
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.ray_metrics import RayMetricsSink
from cluster.sweeps import exploit
from cluster.sweeps.exploit import Segment
from lab.cli.show import catalogue_of
from lab.errors import UserError
from lab.run.metrics import Entry, read
from lab.run.run_dir import CONFIG, RunDir

LOOK_S = 0.5
MAX_FAILURES = 3  # of one trial, whose node went or whose process was killed: it goes on from its checkpoint
REFUSED = 2  # exit code of what comes again when tried again
_READING = 0.02  # of the time, at most, goes into reading a trial's record
_STOP_PATIENCE_S = 120.0  # for the iteration in hand and its checkpoint


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: its name, the settings searched, the newest if they changed, and how it went."""

    name: str
    settings: dict[str, Any]
    state: str = "not started"
    iteration: int = 0
    value: float | None = None
    lineage: tuple[Segment, ...] = ()


def outcome(folder: Path, trial: Trial, budget: int, metric: str, mode: str, failed: bool) -> Trial:
    """How a trial of a budget went, from its run directory, which may be there before the trial is started."""
    path = folder / trial.name
    entries = read(path / "metrics.jsonl")
    if not (failed or entries or (folder / f"{trial.name}.log").exists()):
        return trial
    if not (path / CONFIG).is_file():
        return replace(trial, state="failed")
    values = finite(entries, metric)
    failed = failed or (path / "debug").exists() or not any((path / "checkpoints").iterdir())
    state = "failed" if failed else "complete" if _is_complete(RunDir.open(path), budget) else "stopped"
    iteration = max((entry.iteration for entry in entries), default=0)
    best = (max(values) if mode == "max" else min(values)) if values else None
    segments = exploit.read(path)
    settings = segments[-1].settings if segments else trial.settings
    return replace(trial, settings=settings, state=state, iteration=iteration, value=best, lineage=tuple(segments))


def _is_complete(run: RunDir, budget: int) -> bool:
    """Whether it has reached the budget; that of its configuration may be a part of it."""
    return run.finished and int(run.read_config()["budget"]) >= budget


def finite(entries: Sequence[Entry], metric: str) -> list[float]:
    """A metric's finite values, oldest first."""
    return [entry.metrics[metric] for entry in entries if math.isfinite(entry.metrics.get(metric, math.nan))]


def ranked(trials: Sequence[Trial], mode: str) -> list[Trial]:
    """The best first, those without a value last."""
    sign = -1.0 if mode == "max" else 1.0
    return sorted(trials, key=lambda trial: (trial.value is None, sign * (trial.value or 0.0)))


class Record:
    """A run's metrics.jsonl, looked at now and again. It is read whole, for a run that is resumed cuts it back."""

    def __init__(self, path: Path) -> None:
        self._path, self._entries = path, list[Entry]()
        self._due = -math.inf  # when to read it next

    def look(self, ended: bool) -> list[Entry]:
        """The entries: all of them once the run has ended, before that as they were not long ago.

        Reading takes a small part of the time, however many there are.
        """
        start = time.monotonic()
        if start >= self._due or (ended and self._due < math.inf):
            self._entries = read(self._path)
            end = time.monotonic()
            self._due = math.inf if ended else end + (end - start) / _READING
        return self._entries


class TrialProcess:
    """A `lab` command that trains a trial's run, and does not outlive this process. What it says is in TRIAL.log.

    Its metrics are shown on the cluster as those of <sweep>/<trial>, whenever `look` has read new ones.
    """

    def __init__(self, command: Sequence[str], run: Path, kind: str) -> None:
        self._record, self._shown = Record(run / "metrics.jsonl"), 0
        self.log = run.parent / f"{run.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        wait_for_predecessor(run)
        with self.log.open("a") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file, preexec_fn=_end_with_parent)
        self._meters = RayMetricsSink(catalogue_of(kind), f"{run.parent.name}/{run.name}")
        self._meters.__enter__()

    def look(self) -> tuple[int | None, list[Entry]]:
        """The exit code, None while it runs, and the run's record, which is complete if there is a code."""
        code = self._process.poll()
        entries = self._record.look(ended=code is not None)
        for entry in entries[self._shown :]:
            self._meters(entry)
        self._shown = len(entries)
        return code, entries

    def stop(self) -> None:
        """End it, if it has not ended, with a checkpoint of the iteration in hand."""
        self._meters.__exit__(None, None, None)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()


def wait_for_predecessor(run: Path) -> None:
    """A worker that died has told its process to stop, which may still be saving."""
    deadline = time.monotonic() + _STOP_PATIENCE_S
    while (run / CONFIG).is_file() and time.monotonic() < deadline:
        with suppress(UserError), RunDir.open(run) as held:
            held.lock()
            return
        time.sleep(LOOK_S)


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the worker is gone, so that its run does not outlive a cluster (Linux)."""
    pr_set_pdeathsig = 1
    getattr(ctypes.CDLL(None), "prctl", lambda *_: 0)(pr_set_pdeathsig, signal.SIGTERM)
