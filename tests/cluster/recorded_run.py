"""A run with workers in a process of its own, with a record of the games that its learner was handed.

`python -m tests.cluster.recorded_run` is `cluster.drills.recorder` that also waits where a test tells it to, so that
harm is done in the middle of learning or of writing a checkpoint rather than hoped to fall there.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from cluster.drills import recorder
from cluster.drills.processes import Started, descendants, entries, iteration
from lab.run import checkpoint
from tests.agents.small_alphazero import preset
from tests.command_line import ROOT

Moment = Literal["learning", "checkpointing"]
_FOLDER = "LAB_TEST_FOLDER"
_PATIENCE_S = 120  # for what takes seconds, on a machine with much else to do
_LEFT_S = 90  # processes that Ray holds ready look for a dead driver's node for a minute


class RecordedRun:
    """The run `folder`/run; `settings` change the smallest configuration. All it started ends with `kill`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.path, self._folder, self._record = folder / "run", folder, folder / "games.jsonl"
        self._preset = preset(folder, **{"budget": 1_000_000_000, **settings})
        self._output = folder / "output.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._started = Started()

    def train(self, **environment: str) -> None:
        self._launch("train", self._preset, "--runs-dir", self._folder, "--name", self.path.name, **environment)

    def resume(self, *overrides: str) -> None:
        self._launch("resume", self.path, *overrides)

    @property
    def output(self) -> str:
        """All that its processes have printed."""
        return self._output.read_text()

    def value(self, name: str) -> float:
        """A metric at the newest iteration."""
        found = entries(self.path)
        return found[-1].metrics.get(name, 0.0) if found else 0.0

    def all_up(self) -> bool:
        return self.value("cluster/workers_alive") == 2

    def workers(self) -> list[int]:
        """Processes that play, where the run has a cluster of its own."""
        return [process for process in descendants(self._running.pid) if b"SelfPlayWorker" in _command(process)]

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Fails when it does not come true or the run ends first."""
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert self._running.poll() is None, self.output
            assert time.monotonic() < deadline, f"it never came true: {self.output}"
            time.sleep(0.05)

    def go_on(self, iterations: int = 5) -> None:
        """Wait for so many more iterations."""
        at = iteration(self.path)
        self.wait_until(lambda: iteration(self.path) >= at + iterations)

    def hold(self, moment: Moment) -> None:
        """Have it stand still in the middle of this."""
        (self._folder / f"hold-{moment}").touch()
        self.wait_until((self._folder / f"held-{moment}").exists)

    def release(self) -> None:
        for mark in self._folder.glob("hold-*"):
            mark.unlink()

    def spoil(self) -> None:
        """Put NaN into a weight before the next step of the learner."""
        (self._folder / "spoil").touch()

    def signal(self, number: signal.Signals, code: int, group: bool = False) -> None:
        """Ends it with a signal, to its whole process group as a terminal does or to the one process."""
        self._note_processes()
        (os.killpg if group else os.kill)(self._running.pid, number)
        self.ends(code)

    def ends(self, code: int) -> None:
        """Its exit code, and that no process outlives it."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._running.poll() is None:
            self._note_processes()
            assert time.monotonic() < deadline, f"it never ended: {self.output}"
            time.sleep(0.1)
        assert self._running.returncode == code, self.output
        deadline = time.monotonic() + _LEFT_S
        while left := self._started.left():
            assert time.monotonic() < deadline, f"still running: {[_command(process) for process in left]}"
            time.sleep(0.2)

    def finish(self) -> None:
        """Stop it, resume it, train a little further, and hold what it counted against what it was handed."""
        self.signal(signal.SIGTERM, 143)
        self.resume(f"budget={entries(self.path)[-1].counters['positions'] + 200}")
        self.ends(0)
        self.check_counts()

    def check_counts(self) -> None:
        games, found = recorder.games_held(self._record), entries(self.path)
        assert len(games) == len(set(games)), "a game was counted twice"
        state, manifest = checkpoint.load(checkpoint.numbered(self.path / "checkpoints")[0])
        assert manifest.counters["games"] == len(games)
        assert manifest.counters["positions"] == state["experiment"]["replay"]["total"]
        assert [entry.iteration for entry in found] == list(range(1, len(found) + 1))
        assert all(entry.counters["trained"] <= 2 * entry.counters["positions"] for entry in found)
        assert found[-1].counters == manifest.counters

    def kill(self) -> None:
        """Leave no process of it, whatever state it is in."""
        if self._process is not None:
            self._note_processes()
            self._process.kill()
            for process in self._started.left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self._process.wait()

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def _note_processes(self) -> None:
        if self._running.poll() is None:
            self._started.note(descendants(self._running.pid))

    def _launch(self, *arguments: str | Path, **environment: str) -> None:
        command = [sys.executable, "-m", "tests.cluster.recorded_run", *map(str, arguments)]
        own = {recorder.RECORD: str(self._record), _FOLDER: str(self._folder)}
        with self._output.open("ab") as output:
            # A process group of its own, as a terminal gives it.
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **own, **environment},
                start_new_session=True,
            )


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _wait_where_told_to(folder: Path) -> None:
    """In this process the learner's steps and what a checkpoint writes of tensors wait while a file says so."""
    from agents.alphazero.learner import Learner
    from lab.files.nested_state import write_tensors

    step = Learner.step

    def held(moment: Moment) -> None:
        if (folder / f"hold-{moment}").exists():
            (folder / f"held-{moment}").touch()
            while (folder / f"hold-{moment}").exists():
                time.sleep(0.01)
            (folder / f"held-{moment}").unlink()

    def step_or_wait(learner: Learner, *arguments: Any) -> Any:
        held("learning")
        if (folder / "spoil").exists():
            next(learner.net.parameters()).data[0] = float("nan")
        return step(learner, *arguments)

    def write_and_wait(*arguments: Any) -> None:
        write_tensors(*arguments)
        held("checkpointing")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", step_or_wait)
        patch.setattr(checkpoint, "write_tensors", write_and_wait)
        sys.exit(recorder.main())


if __name__ == "__main__":
    _wait_where_told_to(Path(os.environ[_FOLDER]))
