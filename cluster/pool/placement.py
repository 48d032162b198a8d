"""Room for workers: one placement group, reserved within a time limit or refused with what is missing."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cluster.pool.connection import gpu_share, import_ray
from lab.config.sections import ClusterConfig
from lab.errors import UserError
from lab.train.collectives import ranks
from lab.train.device import Device

_SHOWN = 6  # nodes in a message


@dataclass(frozen=True)
class Share:
    """What one worker has of its node, and with how many threads it computes."""

    cpus: float
    gpus: float
    threads: int

    @property
    def resources(self) -> dict[str, float]:
        return {name: count for name, count in (("CPU", self.cpus), ("GPU", self.gpus)) if count}


def shares(cluster: ClusterConfig, device: Device) -> list[Share]:
    """Each worker's share of the cluster that this process is connected to, and last the evaluator's if there is one.

    An evaluator works rarely: it has no CPU to itself, which would mostly idle, and needs its part of a GPU's memory.
    """
    if not cluster.hires:
        return []
    gpus = gpu_share(cluster, device, import_ray().cluster_resources().get("GPU", 0.0))
    worker = Share(cluster.worker_cpus, gpus, cluster.worker_threads or max(1, int(cluster.worker_cpus)))
    return [worker] * cluster.workers + [replace(worker, cpus=0.0)] * cluster.evaluator


def learner_shares(cluster: ClusterConfig, device: Device) -> list[Share]:
    """Of each learner where there are several: a worker's, or a GPU to itself, for NCCL lets no two ranks share one."""
    if cluster.learners == 1:
        return []
    threads = cluster.worker_threads or max(1, int(cluster.worker_cpus))
    return [Share(cluster.worker_cpus, 1.0 if device.device.type == "cuda" else 0.0, threads)] * cluster.learners


class Room:
    """A bundle for each share, kept together on few nodes, where weights arrive once for all who use them.

    When a node goes, its bundles wait for room elsewhere and their workers start there; the others go on. A room with a
    name takes the place of the one before it of that name.
    Raises UserError when there is no room within `timeout_s`; `who` are the keys of `cluster` that say how many.
    """

    def __init__(
        self, shares: Sequence[Share], timeout_s: float, who: Sequence[str] = ("workers",), name: str = ""
    ) -> None:
        self._ray, self._group = import_ray(), None
        self.shares = shares
        # Shares of nothing fit everywhere; Ray knows no bundles of nothing.
        self._bundles = [index for index, share in enumerate(shares) if share.resources]
        if not self._bundles:
            return
        from ray.util.placement_group import placement_group

        if name:
            _remove(name)
        bundles = [shares[index].resources for index in self._bundles]
        self._group = placement_group(bundles, strategy="PACK", name=name)
        if not self._group.wait(timeout_s):
            self.close()
            raise UserError(_what_is_missing(self._ray, shares, timeout_s, who))

    def hire(self, index: int, actor_class: type, *arguments: Any) -> Any:
        """Starts an actor with share `index`, without restarts or retries of its own; see `cluster.pool.pool.Pool`."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        share = self.shares[index]
        options: dict[str, Any] = {}
        if index in self._bundles:
            bundle = self._bundles.index(index)
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(self._group, bundle)
        actor = self._ray.remote(
            num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=0, max_task_retries=0, **options
        )(actor_class)
        return actor.remote(*arguments)

    def close(self) -> None:
        if self._group is not None:
            from ray.util.placement_group import remove_placement_group

            remove_placement_group(self._group)


def leaders_name() -> str:
    """A name for the room of a leading rank's workers, "" where there is one process.

    Ray gives a room up when its job ends, and the job of a rank outlives it: the next rank removes what is left.
    """
    return f"workers of job {import_ray().get_runtime_context().get_job_id()}" if ranks().size > 1 else ""


def _remove(name: str) -> None:
    from ray.util.placement_group import get_placement_group, remove_placement_group

    with contextlib.suppress(ValueError):  # there is none
        remove_placement_group(get_placement_group(name))


def _what_is_missing(ray: Any, shares: Sequence[Share], timeout_s: float, who: Sequence[str]) -> str:
    wanted = Counter(" and ".join(f"{amount:g} {name}" for name, amount in share.resources.items()) for share in shares)
    asked = ", ".join(f"{count} with {share} each" for share, count in wanted.items() if share)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    have = [f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes]
    shown = "; ".join(have[:_SHOWN]) + ("; ..." if len(have) > _SHOWN else "")
    keys = " or ".join(f"cluster.{key}" for key in who)
    return (
        f"no room within {timeout_s:g} s for {' and '.join(who)}: {asked}; the cluster's nodes have {shown}, less what "
        f"others use: lower {keys} or the shares, or raise cluster.place_timeout_s"
    )
