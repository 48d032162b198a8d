"""Trials of a sweep: ordinary runs in runs/SWEEP/TRIAL, each trained by `lab` in a separate process."""

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
from cluster.sweeps import copy_run
from cluster.sweeps.copy_run import Segment
from lab.child_processes import die_with_parent
from lab.errors import UserError
from lab.run.metrics import Catalogue, Entry, read
from lab.run.run_dir import CONFIG, RunDir

POLL_INTERVAL_S = 0.5
MAX_FAILURES = 3  # retries of a trial whose node or process died; it continues from its checkpoint
USER_ERROR = 2  # exit code of `lab` for an error that a retry does not remove
_MAX_READING_TIME = 0.02  # largest fraction of the time for reading metrics.jsonl
STOP_TIMEOUT_S = 120.0  # for the current iteration and its checkpoint


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: its name, its latest settings and its result.

    value: the best value of the metric. segments: parts of the training with constant settings, of PBT.
    """

    name: str
    settings: dict[str, Any]
    state: str = "not started"
    iteration: int = 0
    value: float | None = None
    segments: tuple[Segment, ...] = ()


def trial_result(folder: Path, trial: Trial, *, budget: int, metric: str, mode: str, failed: bool) -> Trial:
    """The trial with its result, read from its run directory. PBT creates the directory before the trial starts."""
    path = folder / trial.name
    entries = read(path / "metrics.jsonl")
    if not (failed or entries or (folder / f"{trial.name}.log").exists()):
        return trial
    if not (path / CONFIG).is_file():
        return replace(trial, state="failed")
    values = finite_values(entries, metric)
    failed = failed or (path / "debug").exists() or not any((path / "checkpoints").iterdir())
    state = "failed" if failed else "complete" if _is_complete(RunDir.open(path), budget) else "stopped"
    iteration = max((entry.iteration for entry in entries), default=0)
    best = (max(values) if mode == "max" else min(values)) if values else None
    segments = copy_run.read_segments(path)
    settings = segments[-1].settings if segments else trial.settings
    return replace(trial, settings=settings, state=state, iteration=iteration, value=best, segments=tuple(segments))


def _is_complete(run: RunDir, budget: int) -> bool:
    """Whether the run has reached the budget; its configuration may hold the end of a PBT interval."""
    return run.finished and int(run.read_config()["budget"]) >= budget


def finite_values(entries: Sequence[Entry], metric: str) -> list[float]:
    """The finite values of a metric, oldest first."""
    return [entry.metrics[metric] for entry in entries if math.isfinite(entry.metrics.get(metric, math.nan))]


def ranked(trials: Sequence[Trial], mode: str) -> list[Trial]:
    """Trials from best to worst; those without a value come last."""
    sign = -1.0 if mode == "max" else 1.0
    return sorted(trials, key=lambda trial: (trial.value is None, sign * (trial.value or 0.0)))


class MetricsReader:
    """Reads a run's metrics.jsonl repeatedly. Each time the whole file is read: a resumed run truncates it."""

    def __init__(self, path: Path) -> None:
        self._path, self._entries = path, list[Entry]()
        self._due = -math.inf  # time of the next read

    def poll(self, ended: bool) -> list[Entry]:
        """The entries: all of them once the run has ended, before that as of the last read.

        The time between reads grows with the time that a read takes.
        """
        start = time.monotonic()
        if start >= self._due or (ended and self._due < math.inf):
            self._entries = read(self._path)
            end = time.monotonic()
            self._due = math.inf if ended else end + (end - start) / _MAX_READING_TIME
        return self._entries


class TrialProcess:
    """A `lab` command that trains a trial and ends with this process. Its output is in TRIAL.log.

    `poll` exports the new metrics as Ray gauges of the run SWEEP/TRIAL.
    """

    def __init__(self, command: Sequence[str], run: Path, catalogue: Catalogue) -> None:
        self._reader, self._exported = MetricsReader(run / "metrics.jsonl"), 0
        self.log = run.parent / f"{run.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        wait_until_unlocked(run)
        with self.log.open("a", encoding="utf-8") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file, preexec_fn=_terminate_with_parent)
        self._sink = RayMetricsSink(catalogue, f"{run.parent.name}/{run.name}")
        self._sink.__enter__()

    def poll(self) -> tuple[int | None, list[Entry]]:
        """The exit code (None while the process runs) and the run's entries (complete if there is an exit code)."""
        code = self._process.poll()
        entries = self._reader.poll(ended=code is not None)
        for entry in entries[self._exported :]:
            self._sink(entry)
        self._exported = len(entries)
        return code, entries

    def stop(self) -> None:
        """Stop the process, if it runs, with a checkpoint after the current iteration."""
        self._sink.__exit__(None, None, None)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()


def wait_until_unlocked(run: Path) -> None:
    """Wait for an earlier process of the run: after its worker died it may still write its last checkpoint."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while (run / CONFIG).is_file() and time.monotonic() < deadline:
        with suppress(UserError), RunDir.open(run) as opened:
            opened.lock()
            return
        time.sleep(POLL_INTERVAL_S)


def _terminate_with_parent() -> None:
    """No run outlives the cluster."""
    die_with_parent(signal.SIGTERM)
