"""Fault injection: each drill starts a run, causes a fault and measures how long the run takes to recover."""

import signal
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agents.alphazero.config import AlphaZeroConfig
from cluster.drills import processes
from cluster.drills.recorded_run import RECOVERY_S, START_S, STOP_S, Failed, RecordedRun
from cluster.pool.connection import import_ray
from cluster.workers.evaluation import EvaluationWorker
from cluster.workers.processes import SelfPlayWorker
from lab.config import presets
from lab.config.loading import load_preset, load_run_config, validate
from lab.errors import UserError
from lab.run import checkpoint
from lab.run.lookup import locate_run
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


@dataclass(frozen=True)
class Result:
    """The result of a drill. seconds: until the run had recovered, at most `limit_s`."""

    drill: str
    result: Literal["passed", "failed", "skipped"]
    seconds: float | None
    limit_s: float | None
    detail: str = ""


class Skipped(Exception):
    """Raised with the reason why a drill cannot run on this cluster."""


@dataclass(frozen=True)
class Drill:
    """`inject(run, limit_s, node)` starts a run, causes the fault and returns the seconds to recovery.

    node: address or id of a node that may be killed, "" if none may. overrides: of the configuration.
    """

    name: str
    inject: Callable[[RecordedRun, float, str], float]
    limit_s: float = RECOVERY_S
    detected_by_timeout: bool = False  # then cluster.hang_timeout_s is added to the limit
    wandb: Literal["off", "online"] = "off"


def kill_worker(run: RecordedRun, limit_s: float, node: str) -> float:
    """SIGKILL to a self-play worker."""
    return _signal_worker(run, signal.SIGKILL, limit_s)


def suspend_worker(run: RecordedRun, limit_s: float, node: str) -> float:
    """SIGSTOP to a self-play worker: it hangs."""
    return _signal_worker(run, signal.SIGSTOP, limit_s)


def kill_evaluator(run: RecordedRun, limit_s: float, node: str) -> float:
    """SIGKILL to the evaluator; recovered with the next evaluation."""
    run.start()
    run.wait(lambda: run.actors(EvaluationWorker.__name__), RECOVERY_S)
    (evaluator,) = run.actors(EvaluationWorker.__name__)
    iteration = run.entries()[-1].iteration
    processes.send_signal(evaluator, signal.SIGKILL)

    def evaluated() -> bool:
        return any(entry.metrics.get("eval/at_iteration", 0) > iteration for entry in read(run.path / "metrics.jsonl"))

    return run.wait(evaluated, limit_s)


def block_wandb(run: RecordedRun, limit_s: float, node: str) -> float:
    """W&B is online, but its server does not answer; recovered when the run trains."""
    begin = time.monotonic()
    run.start(WANDB_BASE_URL=f"http://127.0.0.1:{_closed_port()}", WANDB_API_KEY="0" * 40, WANDB_MODE="online")
    seconds = time.monotonic() - begin
    if seconds > limit_s:
        raise Failed(f"the run trained only after {seconds:.0f} s")
    return seconds


def kill_driver(run: RecordedRun, limit_s: float, node: str) -> float:
    """SIGKILL to the process of the learner, then `lab resume`; recovered at the iteration of the fault."""
    run.start()
    run.wait(lambda: checkpoint.numbered(run.path / "checkpoints"), RECOVERY_S)
    run.stop(signal.SIGKILL, -signal.SIGKILL)
    before, begin = run.iteration(), time.monotonic()
    run.resume()
    log = run.path / "log.txt"
    # `lab resume` truncates metrics.jsonl to the checkpoint before it logs this line.
    run.wait(lambda: "continuing from iteration" in log.read_text(encoding="utf-8"), limit_s)
    run.wait(lambda: run.iteration() >= before, limit_s)
    return time.monotonic() - begin


def terminate_driver(run: RecordedRun, limit_s: float, node: str) -> float:
    """SIGTERM to the process of the learner; the seconds to its end, with a checkpoint of the last iteration."""
    run.start()
    seconds = run.stop(signal.SIGTERM, 143)
    (newest, *_) = checkpoint.numbered(run.path / "checkpoints")
    if checkpoint.verify(newest).iteration != run.iteration():
        raise Failed("iterations were lost")
    return seconds


def kill_node(run: RecordedRun, limit_s: float, node: str) -> float:
    """Kill a node with self-play workers; recovered when the run continues without them."""
    ray = import_ray()
    if not node:
        raise Skipped("name a node that may be killed with --spare-node")
    own = ray.get_runtime_context().get_node_id()
    alive = [(one["NodeID"], one["NodeManagerAddress"]) for one in ray.nodes() if one["Alive"]]
    others = [found for found, address in alive if node in (found, address) and found != own]
    if not others:
        raise Skipped(f"{node} is not a node of the cluster other than this one")
    run.start()
    lost = {actor for actor in run.actors(SelfPlayWorker.__name__) if actor.node == others[0]}
    if not lost:
        raise Skipped(f"no worker was placed on {node}")
    processes.kill_node(others[0])
    run.wait(lambda: not lost & set(run.actors(SelfPlayWorker.__name__)), limit_s)
    return run.advance(3, limit_s)


DRILLS = (
    Drill("kill a self-play worker", kill_worker),
    Drill("suspend a self-play worker", suspend_worker, detected_by_timeout=True),
    Drill("kill the evaluator", kill_evaluator),
    Drill("W&B does not answer", block_wandb, START_S, wandb="online"),
    Drill("kill the driver, resume", kill_driver, 2 * RECOVERY_S),
    Drill("SIGTERM, resume", terminate_driver, STOP_S),
    Drill("kill a node", kill_node, 2 * RECOVERY_S),
)


def run_drill(drill: Drill, config: AlphaZeroConfig, node: str = "") -> Result:
    """Run one drill on the connected cluster; its files and processes are removed afterwards."""
    limit = drill.limit_s + (config.cluster.hang_timeout_s if drill.detected_by_timeout else 0.0)
    config = _changed(config.model_dump(mode="json"), {"tracking": {"wandb": drill.wandb}})
    with tempfile.TemporaryDirectory(prefix="lab-drill-") as folder:
        run = RecordedRun(Path(folder), config)
        try:
            seconds = drill.inject(run, limit, node)
            run.finish()
        except Skipped as reason:
            return Result(drill.name, "skipped", None, None, str(reason))
        except Failed as reason:
            return Result(drill.name, "failed", None, limit, str(reason))
        finally:
            run.kill()
    return Result(drill.name, "passed", round(seconds, 1), limit)


def drill_config(run_or_preset: str, runs_dir: Path, workers: int, address: str) -> AlphaZeroConfig:
    """The configuration of a run or preset ("" for a tiny preset), with the cluster settings of the drill.

    Raises UserError for an unknown name and for another kind of experiment.
    """
    settings: dict[str, Any] = _TINY
    if run_or_preset:
        path = locate_run(run_or_preset, runs_dir)
        config = load_run_config(path / "config.yaml") if path else load_preset(run_or_preset)
        if not isinstance(config, AlphaZeroConfig):
            raise UserError(f"{run_or_preset!r} is of kind {config.kind!r}, which has no self-play workers to drill")
        settings = config.model_dump(mode="json")
    own = {
        "budget": 1_000_000_000,
        "checkpoint": {"every": 10},
        "evaluate": {"every": 10},
        "cluster": {"workers": workers, "address": address, "evaluator": True},
    }
    return _changed(settings, own)


def _changed(settings: dict[str, Any], changes: dict[str, Any]) -> AlphaZeroConfig:
    return validate(AlphaZeroConfig, presets.merge(settings, changes), "drill")


def _signal_worker(run: RecordedRun, number: signal.Signals, limit_s: float) -> float:
    run.start()
    before = run.metric("cluster/restarts")
    processes.send_signal(run.actors(SelfPlayWorker.__name__)[0], number)
    return run.wait(lambda: run.metric("cluster/restarts") > before and run.all_ready(), limit_s)


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
