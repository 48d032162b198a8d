"""Placement of actors: a Ray placement group, reserved within a time limit; an error names what is missing."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cluster.pool.connection import connect, gpus_per_worker, import_ray
from lab.config.sections import ClusterConfig
from lab.errors import UserError
from lab.train.collectives import ranks
from lab.train.device import Device

_LOCAL_TIMEOUT_S = 10.0
_MAX_NODES_SHOWN = 6


@dataclass(frozen=True)
class Resources:
    """CPUs and GPUs that one actor reserves on its node, and the number of threads it computes with."""

    cpus: float
    gpus: float
    threads: int

    @property
    def bundle(self) -> dict[str, float]:
        """The reservation as a bundle of a placement group; empty when nothing is reserved."""
        return {name: count for name, count in (("CPU", self.cpus), ("GPU", self.gpus)) if count}


def worker_resources(cluster: ClusterConfig, device: Device) -> list[Resources]:
    """Resources of each self-play worker and last, if it is configured, of the evaluator. Needs a connection.

    The evaluator is mostly idle: it reserves no CPU, but a part of a GPU for its memory.
    """
    if not cluster.has_workers:
        return []
    gpus = gpus_per_worker(cluster, device, import_ray().cluster_resources().get("GPU", 0.0))
    worker = Resources(cluster.worker_cpus, gpus, _threads(cluster))
    return [worker] * cluster.workers + [replace(worker, cpus=0.0)] * cluster.evaluator


def learner_resources(cluster: ClusterConfig, device: Device) -> list[Resources]:
    """Resources of each data-parallel learner; empty for a single learner.

    Each learner has a whole GPU: with NCCL two ranks cannot share one.
    """
    if cluster.learners == 1:
        return []
    gpus = 1.0 if device.device.type == "cuda" else 0.0
    return [Resources(cluster.worker_cpus, gpus, _threads(cluster))] * cluster.learners


def placement_timeout_s(cluster: ClusterConfig, local: bool) -> float:
    """Seconds to wait for resources. A `local` cluster, started by this process, does not grow: at most 10 s there."""
    return min(cluster.place_timeout_s, _LOCAL_TIMEOUT_S) if local else cluster.place_timeout_s


class PlacementGroup:
    """Bundles for a list of actors, packed on few nodes so that each node fetches a version of the weights once.

    When a node dies, Ray reserves its bundles on other nodes and their actors can be started there. A named group
    replaces the group of that name.
    `keys`: the fields of `cluster` that set the number of actors, for the error message.
    Raises UserError when the resources are not available within `timeout_s`.
    """

    def __init__(
        self, resources: Sequence[Resources], timeout_s: float, keys: Sequence[str] = ("workers",), name: str = ""
    ) -> None:
        self._ray, self._group = import_ray(), None
        self.resources = resources
        # Ray has no empty bundles: actors that reserve nothing run on any node.
        self._bundles = [index for index, wanted in enumerate(resources) if wanted.bundle]
        if not self._bundles:
            return
        from ray.util.placement_group import placement_group

        if name:
            _remove(name)
        bundles = [resources[index].bundle for index in self._bundles]
        self._group = placement_group(bundles, strategy="PACK", name=name)
        if not self._group.wait(timeout_s):
            self.close()
            raise UserError(_missing_resources(self._ray, resources, timeout_s, keys))

    def start_actor(self, index: int, actor_class: type, *arguments: Any) -> Any:
        """Start an actor with `resources[index]`. Ray neither restarts it nor retries its calls (see `WorkerPool`)."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        reserved = self.resources[index]
        options: dict[str, Any] = {}
        if index in self._bundles:
            bundle = self._bundles.index(index)
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(self._group, bundle)
        actor = self._ray.remote(
            num_cpus=reserved.cpus, num_gpus=reserved.gpus, max_restarts=0, max_task_retries=0, **options
        )(actor_class)
        return actor.remote(*arguments)

    def close(self) -> None:
        """Release the resources."""
        if self._group is not None:
            from ray.util.placement_group import remove_placement_group

            remove_placement_group(self._group)


def placement_group_name(what: str = "workers") -> str:
    """The name of the placement group of rank 0's workers or evaluator; "" with one learner.

    Ray releases a group when its job ends. The job outlives a rank, so the next rank 0 removes the group by its name.
    """
    return f"{what} of job {import_ray().get_runtime_context().get_job_id()}" if ranks().size > 1 else ""


def _threads(cluster: ClusterConfig) -> int:
    return cluster.worker_threads or max(1, int(cluster.worker_cpus))


def _remove(name: str) -> None:
    from ray.util.placement_group import get_placement_group, remove_placement_group

    with contextlib.suppress(ValueError):  # there is none
        remove_placement_group(get_placement_group(name))


def _missing_resources(ray: Any, resources: Sequence[Resources], timeout_s: float, keys: Sequence[str]) -> str:
    bundles = Counter(" and ".join(f"{count:g} {name}" for name, count in one.bundle.items()) for one in resources)
    asked = ", ".join(f"{count} with {bundle} each" for bundle, count in bundles.items() if bundle)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    have = [f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes]
    shown = "; ".join(have[:_MAX_NODES_SHOWN]) + ("; ..." if len(have) > _MAX_NODES_SHOWN else "")
    return (
        f"not enough free resources within {timeout_s:g} s for {' and '.join(keys)}: {asked}; the cluster's nodes have "
        f"{shown}, and other jobs use part of it: lower {' or '.join(f'cluster.{key}' for key in keys)} or their CPUs "
        "and GPUs, or raise cluster.place_timeout_s"
    )


@contextlib.contextmanager
def placed_workers(cluster: ClusterConfig, device: Device) -> Iterator[PlacementGroup]:
    """Connect to the cluster and reserve the resources of its workers; on exit they are released."""
    with (
        connect(cluster, device),
        contextlib.closing(
            PlacementGroup(
                worker_resources(cluster, device)[: cluster.workers],
                cluster.place_timeout_s,
                name=placement_group_name(),
            )
        ) as placement,
    ):
        yield placement
