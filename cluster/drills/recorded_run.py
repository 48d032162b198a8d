"""An AlphaZero run with workers in a separate process, with a record of the games that its learner received."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agents.alphazero.config import AlphaZeroConfig
from cluster.drills import processes, recorder
from cluster.pool.connection import import_ray
from lab.config.loading import dump
from lab.run import checkpoint
from lab.run.metrics import Entry, read

START_S = 180.0  # limit for the start of a run, on a busy machine
RECOVERY_S = 60.0  # limit for the replacement of a process; most of it is the import of torch
STOP_S = 60.0  # limit from SIGTERM to the exit, with a checkpoint
_CLEANUP_S = 90.0  # limit for the last process: Ray's idle workers look for the node of a dead driver for a minute


class Failed(Exception):
    """Raised with the fault of a run, in one line."""


class RecordedRun:
    """The run `folder`/run, trained by `python -m module`, which is `cluster.drills.recorder` or behaves like it.

    All files are in `folder`. Waiting raises Failed after a time limit, and when the run ends first.
    """

    def __init__(
        self,
        folder: Path,
        config: AlphaZeroConfig,
        *,
        module: str = "cluster.drills.recorder",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.config, self.folder, self.path = config, folder, folder / "run"
        self._record, self._log, self._preset = folder / "games.jsonl", folder / "output.txt", folder / "preset.yaml"
        self._module, self._environment = module, environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._tracker = processes.ProcessTracker()
        self._jobs: set[str] = set()

    def train(self, **environment: str) -> None:
        """Start the training process."""
        self._preset.write_text(dump(self.config), encoding="utf-8")
        self._launch("train", self._preset, "--name", self.path.name, "--runs-dir", self.folder, **environment)

    def start(self, **environment: str) -> None:
        """Train and wait until all workers are ready and have delivered results."""
        self.train(**environment)
        self.wait(lambda: self.all_ready() and self.iteration() >= 5, START_S)

    def resume(self, *overrides: str) -> None:
        """Continue the run in a new process."""
        self._launch("resume", self.path, *overrides)

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def output(self) -> str:
        """Everything that its processes have printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def entries(self) -> list[Entry]:
        """Entries of metrics.jsonl of iterations with workers, in order."""
        found = read(self.path / "metrics.jsonl")
        return [entry for entry in found if "cluster/workers_alive" in entry.metrics]

    def iteration(self) -> int:
        """The newest iteration, 0 before the first."""
        found = self.entries()
        return found[-1].iteration if found else 0

    def metric(self, name: str) -> float:
        """A metric of the newest iteration, 0 if it has none."""
        found = self.entries()
        return found[-1].metrics.get(name, 0.0) if found else 0.0

    def all_ready(self) -> bool:
        """Whether all workers are alive."""
        return self.metric("cluster/workers_alive") == self.config.cluster.workers

    def actors(self, kind: str) -> list[processes.Actor]:
        """Living actors of a class that belong to this run."""
        job = recorder.job(self._record)
        return [actor for actor in processes.actors(kind) if actor.job == job]

    def wait(self, condition: Callable[[], object], limit_s: float = START_S) -> float:
        """Wait until the condition is true; return the seconds."""
        begin = time.monotonic()
        while not condition():
            if self._running.poll() is not None:
                raise Failed(f"the run ended with exit code {self._running.returncode}: {self._last_line()}")
            if time.monotonic() - begin > limit_s:
                raise Failed(f"no recovery within {limit_s:g} s: {self._last_line()}")
            time.sleep(0.1)
        return time.monotonic() - begin

    def advance(self, iterations: int, limit_s: float = START_S) -> float:
        """Wait for this number of further iterations; return the seconds."""
        end = self.iteration() + iterations
        return self.wait(lambda: self.iteration() >= end, limit_s)

    def stop(self, number: signal.Signals, code: int, *, group: bool = False) -> float:
        """Send a signal to the process (group: to its process group, as a terminal does); return the seconds to exit.

        Raises Failed when the exit code is another than `code`.
        """
        self._track()
        begin = time.monotonic()
        (os.killpg if group else os.kill)(self.pid, number)
        self.expect_exit(code, STOP_S)
        return time.monotonic() - begin

    def expect_exit(self, code: int, limit_s: float = START_S) -> None:
        """Wait for the end of the process. Raises Failed when the exit code is another than `code`."""
        deadline = time.monotonic() + limit_s
        while self._running.poll() is None:
            self._track()
            if time.monotonic() > deadline:
                raise Failed(f"the process did not end within {limit_s:g} s: {self._last_line()}")
            time.sleep(0.1)
        self._jobs |= {job} if (job := recorder.job(self._record)) else set()
        if self._running.returncode != code:
            raise Failed(f"exit code {self._running.returncode} instead of {code}: {self._last_line()}")

    def finish(self) -> None:
        """Stop, resume and train to a slightly larger budget, then check the counts and that no process is left."""
        if self._is_running():
            self.advance(3, RECOVERY_S)
            self.stop(signal.SIGTERM, 143)
        self.resume(f"budget={self.entries()[-1].counters['positions'] + 1}")
        self.expect_exit(0, 2 * START_S)
        self.check_counts()
        self.check_no_process_left()

    def check_counts(self) -> None:
        """Raise Failed when a game was lost or counted twice, or iterations are missing."""
        games, found = recorder.games_received(self._record), self.entries()
        if len(set(games)) < len(games):
            raise Failed(f"{len(games) - len(set(games))} games were counted twice")
        (newest, *_) = checkpoint.numbered(self.path / "checkpoints")
        manifest = checkpoint.verify(newest)
        if manifest.counters["games"] != len(games):
            raise Failed(f"{manifest.counters['games']} games are counted and {len(games)} were received")
        if [entry.iteration for entry in found] != list(range(1, len(found) + 1)):
            raise Failed("iterations are missing in metrics.jsonl")
        if found[-1].counters != manifest.counters:
            raise Failed("the counters of metrics.jsonl and of the checkpoint differ")
        replay_ratio = self.config.learner.replay_ratio
        if any(entry.counters["trained"] > replay_ratio * entry.counters["positions"] for entry in found):
            raise Failed("positions were used more often than learner.replay_ratio allows")

    def check_no_process_left(self) -> None:
        """Raise Failed when a process of the run outlives it."""
        deadline = time.monotonic() + _CLEANUP_S
        while left := [*self._tracker.running(), *self._living_actors()]:
            if time.monotonic() > deadline:
                raise Failed(f"processes are left {_CLEANUP_S:g} s after the run: {', '.join(map(str, left))}")
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill all processes of the run, in any state."""
        if self._process is not None:
            self._track()
            self._process.kill()  # has no effect on a process that has ended
            for pid in self._tracker.running():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "the run was not started"
        return self._process

    def _launch(self, *arguments: str | Path, **environment: str) -> None:
        command = [sys.executable, "-m", self._module, *map(str, arguments)]
        variables = {**os.environ, recorder.RECORD: str(self._record), **self._environment, **environment}
        with self._log.open("ab") as log:
            # In a separate session, so that Ctrl-C reaches only this process.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables, start_new_session=True
            )

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _track(self) -> None:
        if self._is_running():
            self._tracker.add(processes.descendants(self.pid))

    def _living_actors(self) -> list[int]:
        """Process ids of the run's actors on a cluster that this process is connected to."""
        if not import_ray().is_initialized():
            return []
        return [actor.pid for actor in processes.actors() if actor.job in self._jobs]

    def _last_line(self) -> str:
        return next((line.strip() for line in reversed(self.output.split("\n")) if line.strip()), "it printed nothing")
