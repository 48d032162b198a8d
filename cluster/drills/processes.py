"""A run watched from outside its process: how far it is, and what runs for it."""

import os
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

from cluster.pool.connection import import_ray
from lab.run.metrics import Entry, read


class Actor(NamedTuple):
    """An actor that is up. job: of the driver that it works for, in hexadecimal."""

    kind: str
    node: str
    process: int
    job: str


def entries(run: Path) -> list[Entry]:
    """The run's iterations with workers, in order."""
    return [entry for entry in read(run / "metrics.jsonl") if "cluster/workers_alive" in entry.metrics]


def alive(run: Path) -> float:
    """Workers that were up at the newest iteration."""
    found = entries(run)
    return found[-1].metrics["cluster/workers_alive"] if found else 0.0


def iteration(run: Path) -> int:
    """The newest iteration, 0 before the first."""
    found = entries(run)
    return found[-1].iteration if found else 0


def actors(kind: str = "") -> list[Actor]:
    """Those of a class, or all, that are up on the cluster that this process is connected to."""
    import_ray()
    from ray._private.state import actors as table

    return [
        Actor(row["ActorClassName"], row["Address"]["NodeID"], row["Pid"], row["JobID"])
        for row in table(actor_state_name="ALIVE").values()
        if row["ActorClassName"] == kind or not kind
    ]


def send_signal(actor: Actor, number: int) -> None:
    """Sends a signal to the actor's process, on its node."""
    _on_node(actor.node, _kill, actor.process, number)


def kill_node(node: str) -> None:
    """Ends a node of the cluster as if its power failed."""
    _on_node(node, _kill_parent)


def descendants(process: int) -> set[int]:
    """Processes of this machine started by this one, and by those."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


class Started:
    """Processes of this machine, remembered by number and birth: numbers are used again."""

    def __init__(self) -> None:
        self._born: dict[int, str] = {}

    def note(self, processes: AbstractSet[int]) -> None:
        self._born |= {process: born for process in processes if (born := _born(process))}

    def left(self) -> list[int]:
        """Those that have not ended."""
        return [process for process in running(self._born.keys()) if _born(process) == self._born[process]]


def running(processes: AbstractSet[int]) -> set[int]:
    """Those of the processes of this machine that have not ended."""
    return {process for process in processes if (_stat(process) or ["Z"])[0] != "Z"}


def _born(process: int) -> str:
    """When, in ticks since the machine started; "" of one that is gone."""
    fields = _stat(process)
    return fields[19] if fields else ""


def _stat(process: int) -> list[str]:
    """What /proc says of it after its name, beginning with its state; [] of one that is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _on_node(node: str, function: Any, *arguments: Any) -> None:
    ray = import_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(function)
    try:
        ray.get(task.remote(*arguments), timeout=30)
    except (ray.exceptions.NodeDiedError, ray.exceptions.WorkerCrashedError, ray.exceptions.TaskUnschedulableError):
        if function is not _kill_parent:
            raise


def _kill(process: int, number: int) -> None:
    os.kill(process, number)


def _kill_parent() -> None:
    import signal

    os.kill(os.getppid(), signal.SIGKILL)  # a node's workers are its raylet's children
