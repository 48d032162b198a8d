"""Processes of a run as seen from another process: Ray actors and nodes of the cluster, processes of this machine."""

import os
import signal
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

from cluster.pool.connection import import_ray
from lab.errors import UserError

_TASK_TIMEOUT_S = 60.0  # the start of a worker process takes seconds, on a busy machine many


class Actor(NamedTuple):
    """A living Ray actor. job: id of the driver that started it, in hexadecimal."""

    kind: str
    node: str
    pid: int
    job: str


def actors(kind: str = "") -> list[Actor]:
    """Living actors of a class, or of all classes, on the cluster that this process is connected to."""
    import_ray()
    from ray._private.state import actors as actor_table

    return [
        Actor(row["ActorClassName"], row["Address"]["NodeID"], row["Pid"], row["JobID"])
        for row in actor_table(actor_state_name="ALIVE").values()
        if row["ActorClassName"] == kind or not kind
    ]


def send_signal(actor: Actor, number: int) -> None:
    """Send a signal to the actor's process, on its node."""
    _run_on_node(actor.node, os.kill, actor.pid, number)


def kill_node(node: str) -> None:
    """Kill a node of the cluster without any shutdown."""
    _run_on_node(node, _kill_parent)


def descendants(pid: int) -> set[int]:
    """All descendants of a process of this machine."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(folder.name)):
            parents[int(folder.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


class ProcessTracker:
    """Remembers processes of this machine by id and start time, since ids are reused."""

    def __init__(self) -> None:
        self._start_times: dict[int, str] = {}

    def add(self, pids: AbstractSet[int]) -> None:
        self._start_times |= {pid: time for pid in pids if (time := _start_time(pid))}

    def running(self) -> list[int]:
        """The processes that have not ended."""
        return [pid for pid in running(self._start_times.keys()) if _start_time(pid) == self._start_times[pid]]


def running(pids: AbstractSet[int]) -> set[int]:
    """The processes of this machine that have not ended."""
    return {pid for pid in pids if (_stat(pid) or ["Z"])[0] != "Z"}


def _start_time(pid: int) -> str:
    """Start time in clock ticks since boot; "" for a process that has ended."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; [] for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _run_on_node(node: str, function: Any, *arguments: Any) -> None:
    ray = import_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(_task)
    try:
        ray.get(task.remote(function, *arguments), timeout=_TASK_TIMEOUT_S)
    except ray.exceptions.GetTimeoutError:
        raise UserError(
            f"node {node} ran no task within {_TASK_TIMEOUT_S:g} s: it is overloaded or does not answer; try again"
        ) from None
    except (ray.exceptions.NodeDiedError, ray.exceptions.WorkerCrashedError, ray.exceptions.TaskUnschedulableError):
        if function is not _kill_parent:
            raise


def _task(function: Any, *arguments: Any) -> None:
    function(*arguments)  # Ray refuses built-in functions such as os.kill as tasks


def _kill_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)  # the parent of a worker is the raylet of its node
