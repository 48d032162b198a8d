"""`lab drill`: harm done on purpose to runs on a person's own machine or cluster, and how soon they are over it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from agents.alphazero.config import AlphaZeroConfig
from cluster.drills import processes, recorder
from cluster.pool.connection import connect, import_ray
from lab.cli.arguments import Json, RunsDir, print_json
from lab.config import presets
from lab.config.loading import dump, load_preset, load_run_config, validate
from lab.config.sections import ClusterConfig
from lab.errors import UserError
from lab.run import checkpoint
from lab.run.lookup import RUNS_DIR, locate_run
from lab.run.metrics import read

_TINY: dict[str, Any] = {
    "device": "cpu",
    "threads": 1,
    "game": {"name": "tic_tac_toe"},
    "network": {"channels": 8, "blocks": 1, "value_hidden": 8},
    "search": {"simulations": 4, "max_considered_actions": 4},
    "selfplay": {"boards": 16, "moves_per_iteration": 8, "opening_plies": 2, "cache_slots": 256},
    "replay": {"capacity": 5000, "window_start": 500, "min_positions": 100},
    "learner": {"batch_size": 32, "replay_ratio": 2, "warmup_steps": 5},
    "cluster": {"worker_cpus": 0.5, "worker_threads": 1, "hang_timeout_s": 20},
}
_START_S = 180.0  # for a run to be under way, on a machine with much else to do
_RECOVERY_S = 60.0  # for a process to be replaced: most of it is importing torch
_STOP_S = 60.0  # from SIGTERM to the end, with a checkpoint
_LEFT_S = 90.0  # for the last process to end; those that Ray holds ready look for a dead driver's node for a minute
_PLAYER, _GRADER = "SelfPlayWorker", "GradingWorker"


@dataclass(frozen=True)
class Result:
    """How a drill went. seconds: until the run was over the harm, at most `limit_s`."""

    drill: str
    result: Literal["passed", "failed", "skipped"]
    seconds: float | None
    limit_s: float | None
    detail: str = ""


class Failed(Exception):
    """What a drill found wrong, in one line."""


class Skipped(Exception):
    """Why a drill cannot be done here."""


class Subject:
    """A run that is harmed, each time trained by a `lab` process of its own; all it leaves is in `folder`."""

    def __init__(self, folder: Path, config: AlphaZeroConfig, spare: str = "") -> None:
        self.config, self.path, self.spare = config, folder / "run", spare
        self._folder, self._record, self._log = folder, folder / "games.jsonl", folder / "output.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._started = processes.Started()
        self._jobs: set[str] = set()

    def start(self, **environment: str) -> None:
        """Train until all workers are up and have delivered."""
        preset = self._folder / "preset.yaml"
        preset.write_text(dump(self.config), encoding="utf-8")
        self._lab("train", preset, "--name", "run", "--runs-dir", self._folder, **environment)
        self.wait(lambda: self.all_up() and processes.iteration(self.path) >= 5, _START_S)

    def resume(self, *overrides: str) -> None:
        """Continue it in a new process."""
        self._lab("resume", self.path, *overrides)

    def all_up(self) -> bool:
        """Whether no worker is missing."""
        return processes.alive(self.path) == self.config.cluster.workers

    def value(self, name: str) -> float:
        """A metric at the newest iteration."""
        found = processes.entries(self.path)
        return found[-1].metrics.get(name, 0.0) if found else 0.0

    def actors(self, kind: str) -> list[processes.Actor]:
        """Those of this run that are up."""
        job = recorder.job(self._record)
        return [actor for actor in processes.actors(kind) if actor.job == job]

    def wait(self, condition: Callable[[], object], limit_s: float) -> float:
        """Seconds until it is true. Raises Failed when they are too many or the run ends first."""
        assert self._process is not None
        begin = time.monotonic()
        while not condition():
            if self._process.poll() is not None:
                raise Failed(f"the run ended with exit code {self._process.returncode}: {self._last_line()}")
            if time.monotonic() - begin > limit_s:
                raise Failed(f"not over it within {limit_s:g} s: {self._last_line()}")
            time.sleep(0.1)
        return time.monotonic() - begin

    def end(self, number: signal.Signals, code: int) -> float:
        """Seconds until a signal has ended the process, with this exit code."""
        assert self._process is not None
        self._note_processes()
        begin = time.monotonic()
        self._process.send_signal(number)
        self._expect(code, _STOP_S)
        return time.monotonic() - begin

    def finish(self) -> None:
        """Stop, resume and train to a budget; raises Failed if that or what was counted is not right."""
        if self._is_running():
            at = processes.iteration(self.path)
            self.wait(lambda: processes.iteration(self.path) >= at + 3, _RECOVERY_S)
            self.end(signal.SIGTERM, 143)
        positions = processes.entries(self.path)[-1].counters["positions"]
        at = processes.iteration(self.path)
        self.resume(f"budget={positions + 1}")
        self.wait(lambda: processes.iteration(self.path) > at, _START_S)
        self._note_processes()
        self._expect(0, _START_S)
        self._check_counts()
        self._check_nothing_is_left()

    def kill(self) -> None:
        """Leave no process of it, whatever state it is in."""
        if self._process is not None:
            self._note_processes()
            self._process.kill()  # nothing where it has ended
            for process in self._started.left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self._process.wait()

    def _lab(self, *arguments: str | Path, **environment: str) -> None:
        command = [sys.executable, "-m", "cluster.drills.recorder", *map(str, arguments)]
        variables = {**os.environ, recorder.RECORD: str(self._record), **environment}
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C is this process's to deal with.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables, start_new_session=True
            )

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _expect(self, code: int, limit_s: float) -> None:
        assert self._process is not None
        try:
            found = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"not at its end within {limit_s:g} s: {self._last_line()}") from None
        if found != code:
            raise Failed(f"exit code {found} in place of {code}: {self._last_line()}")

    def _note_processes(self) -> None:
        assert self._process is not None
        if self._is_running():
            self._started.note(processes.descendants(self._process.pid))
        self._jobs |= {job} if (job := recorder.job(self._record)) else set()

    def _check_counts(self) -> None:
        held, found = recorder.games_held(self._record), processes.entries(self.path)
        if len(set(held)) < len(held):
            raise Failed(f"{len(held) - len(set(held))} games were counted twice")
        (newest, *_) = checkpoint.numbered(self.path / "checkpoints")
        counted = checkpoint.verify(newest).counters["games"]
        if counted != len(held):
            raise Failed(f"{counted} games are counted and {len(held)} were received")
        if [entry.iteration for entry in found] != list(range(1, len(found) + 1)):
            raise Failed("its iterations do not follow each other")
        if any(
            entry.counters["trained"] > self.config.learner.replay_ratio * entry.counters["positions"]
            for entry in found
        ):
            raise Failed("positions were used more often than learner.replay_ratio allows")

    def _check_nothing_is_left(self) -> None:
        end = time.monotonic() + _LEFT_S
        while left := [*self._started.left(), *(a.process for a in processes.actors() if a.job in self._jobs)]:
            if time.monotonic() > end:
                raise Failed(f"processes are left {_LEFT_S:g} s after the run: {', '.join(map(str, left))}")
            time.sleep(0.2)

    def _last_line(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def kill_worker(run: Subject, limit_s: float) -> float:
    return _harm_worker(run, signal.SIGKILL, limit_s)


def stop_worker(run: Subject, limit_s: float) -> float:
    return _harm_worker(run, signal.SIGSTOP, limit_s)


def kill_evaluator(run: Subject, limit_s: float) -> float:
    run.start()
    run.wait(lambda: run.actors(_GRADER), _RECOVERY_S)
    (grader,) = run.actors(_GRADER)
    positions = processes.entries(run.path)[-1].counters["positions"]
    processes.send_signal(grader, signal.SIGKILL)

    def graded() -> bool:
        return any(entry.metrics.get("eval/at_positions", 0) > positions for entry in read(run.path / "metrics.jsonl"))

    return run.wait(graded, limit_s)


def lose_tracking(run: Subject, limit_s: float) -> float:
    begin = time.monotonic()
    run.start(WANDB_BASE_URL=f"http://127.0.0.1:{_closed_port()}", WANDB_API_KEY="0" * 40, WANDB_MODE="online")
    seconds = time.monotonic() - begin
    if seconds > limit_s:
        raise Failed(f"under way after {seconds:.0f} s")
    return seconds


def kill_driver(run: Subject, limit_s: float) -> float:
    run.start()
    run.wait(lambda: checkpoint.numbered(run.path / "checkpoints"), _RECOVERY_S)
    run.end(signal.SIGKILL, -signal.SIGKILL)
    before, began = processes.iteration(run.path), time.monotonic()
    run.resume()
    log = run.path / "log.txt"
    # Resuming cuts the record back to the checkpoint first: until it says so, the record is the dead driver's.
    run.wait(lambda: "continuing from iteration" in log.read_text(encoding="utf-8"), limit_s)
    run.wait(lambda: processes.iteration(run.path) >= before, limit_s)
    return time.monotonic() - began


def stop_driver(run: Subject, limit_s: float) -> float:
    run.start()
    seconds = run.end(signal.SIGTERM, 143)
    (newest, *_) = checkpoint.numbered(run.path / "checkpoints")
    if checkpoint.verify(newest).iteration != processes.iteration(run.path):
        raise Failed("iterations were lost")
    return seconds


def kill_node(run: Subject, limit_s: float) -> float:
    ray = import_ray()
    if not run.spare:
        raise Skipped("name a node that may be lost with --spare")
    own = ray.get_runtime_context().get_node_id()
    named = [n["NodeID"] for n in ray.nodes() if n["Alive"] and run.spare in (n["NodeManagerAddress"], n["NodeID"])]
    nodes = [node for node in named if node != own]
    if not nodes:
        raise Skipped(f"{run.spare} is no node of the cluster other than this one")
    run.start()
    lost = [actor for actor in run.actors(_PLAYER) if actor.node == nodes[0]]
    if not lost:
        raise Skipped(f"no worker came to be on {run.spare}")
    processes.kill_node(nodes[0])
    run.wait(lambda: not set(lost) & set(run.actors(_PLAYER)), limit_s)
    at = processes.iteration(run.path)
    return run.wait(lambda: processes.iteration(run.path) >= at + 3, limit_s)


@dataclass(frozen=True)
class Drill:
    """Starts a run, harms it and says how many seconds it took to be over it, which `limit_s` bounds."""

    name: str
    act: Callable[[Subject, float], float]
    limit_s: float = _RECOVERY_S


DRILLS = (
    Drill("kill a self-play worker", kill_worker),
    Drill("stop a self-play worker", stop_worker),  # what hangs is noticed after cluster.hang_timeout_s
    Drill("kill the evaluator", kill_evaluator),
    Drill("W&B cannot be reached", lose_tracking, _START_S),
    Drill("kill the driver, resume", kill_driver, 2 * _RECOVERY_S),
    Drill("SIGTERM, resume", stop_driver, _STOP_S),
    Drill("kill a node", kill_node, 2 * _RECOVERY_S),
)


def drill(
    subject: Annotated[
        str, typer.Argument(metavar="[RUN|PRESET]", help="Whose settings to use.", show_default="a tiny preset")
    ] = "",
    workers: Annotated[int, typer.Option(min=1, help="Self-play workers.")] = 2,
    address: Annotated[str, typer.Option(help="A running cluster, as in cluster.address.")] = "",
    spare: Annotated[str, typer.Option(help="Address or id of a node that may be killed.")] = "",
    only: Annotated[str, typer.Option(help="Drills whose name has this in it.", show_default="all")] = "",
    runs_dir: RunsDir = RUNS_DIR,
    as_json: Json = False,
) -> None:
    """Harm runs on purpose and see whether they get over it: processes killed and stopped, W&B gone, a node lost.

    Each drill trains a run of its own in a temporary folder and removes it. Exits with 1 if one failed.
    """
    drills = [each for each in DRILLS if only in each.name]
    if not drills:
        raise UserError(f"no drill has {only!r} in its name; there are: {', '.join(each.name for each in DRILLS)}")
    results = []
    with (
        _stopped_by_sigterm(),
        connect(ClusterConfig(workers=workers, worker_cpus=0, address=address or None)) as where,
    ):
        config = settings(subject, runs_dir, workers, where.address)
        for each in drills:
            results.append(hold(each, config, spare))
            if not as_json:
                print(_line(results[-1]), flush=True)
    failed = any(result.result == "failed" for result in results)
    if as_json:
        print_json({"ok": not failed, "drills": [asdict(result) for result in results]})
    else:
        _print(results)
    if failed:
        raise typer.Exit(1)


def hold(each: Drill, config: AlphaZeroConfig, spare: str = "") -> Result:
    """One drill, in a folder and processes that are gone afterwards. The cluster is the one connected to."""
    limit = each.limit_s + (config.cluster.hang_timeout_s if each.act is stop_worker else 0.0)
    if each.act is lose_tracking:
        config = validate(
            AlphaZeroConfig, presets.merge(config.model_dump(mode="json"), {"tracking": {"wandb": "online"}}), "drill"
        )
    with tempfile.TemporaryDirectory(prefix="lab-drill-") as folder:
        run = Subject(Path(folder), config, spare)
        try:
            seconds = each.act(run, limit)
            run.finish()
        except Skipped as reason:
            return Result(each.name, "skipped", None, None, str(reason))
        except Failed as reason:
            return Result(each.name, "failed", None, limit, str(reason))
        finally:
            run.kill()
    return Result(each.name, "passed", round(seconds, 1), limit)


def settings(subject: str, runs_dir: Path, workers: int, address: str) -> AlphaZeroConfig:
    """The configuration to drill: of a run or preset, or a tiny one; its length and its cluster are the drill's."""
    found: dict[str, Any] = _TINY
    if subject:
        path = locate_run(subject, runs_dir)
        config = load_run_config(path / "config.yaml") if path else load_preset(subject)
        if not isinstance(config, AlphaZeroConfig):
            raise UserError(f"{subject!r} is of kind {config.kind!r}, which has no self-play workers to drill")
        found = config.model_dump(mode="json")
    own = {
        "budget": 1_000_000_000,
        "checkpoint": {"every": 10},
        "evaluate": {"every": 10},
        "tracking": {"wandb": "off"},
        "cluster": {"workers": workers, "address": address, "evaluator": True},
    }
    return validate(AlphaZeroConfig, presets.merge(found, own), "drill")


def _harm_worker(run: Subject, number: signal.Signals, limit_s: float) -> float:
    run.start()
    before = run.value("cluster/restarts")
    processes.send_signal(run.actors(_PLAYER)[0], number)
    return run.wait(lambda: run.value("cluster/restarts") > before and run.all_up(), limit_s)


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does, for what was started to be ended."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(result: Result) -> str:
    return f"{result.drill}: {result.result}" + (f" ({result.detail})" if result.detail else "")


def _print(results: Sequence[Result]) -> None:
    table = Table("drill", "result", "seconds", "limit", box=None)
    for result in results:
        shown = ("" if value is None else f"{value:.1f}" for value in (result.seconds, result.limit_s))
        table.add_row(result.drill, result.result, *shown)
    Console(highlight=False).print(table)
