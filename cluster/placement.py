"""Room for workers: one placement group, reserved within a time limit or refused with what is missing."""

from dataclasses import dataclass
from typing import Any

from cluster.connect import gpu_share, import_ray
from lab.config import Cluster
from lab.device import Device
from lab.errors import UserError


@dataclass(frozen=True)
class Share:
    """What one worker has of its node, and with how many threads it computes."""

    cpus: float
    gpus: float
    threads: int

    @property
    def resources(self) -> dict[str, float]:
        return {name: count for name, count in (("CPU", self.cpus), ("GPU", self.gpus)) if count}


def worker_share(cluster: Cluster, device: Device) -> Share:
    """Each worker's share of the cluster that this process is connected to."""
    gpus = gpu_share(cluster, device, import_ray().cluster_resources().get("GPU", 0.0))
    return Share(cluster.worker_cpus, gpus, cluster.worker_threads or max(1, int(cluster.worker_cpus)))


class Room:
    """A bundle for each of `count` workers, kept together on few nodes, where weights arrive once for all of them.

    When a node goes, its bundles wait for room elsewhere and their workers start there; the others go on.
    Raises UserError when it is not there within `timeout_s`.
    """

    def __init__(self, share: Share, count: int, timeout_s: float) -> None:
        self._ray, self._group = import_ray(), None
        self.share = share
        if not share.resources:  # a share of nothing fits everywhere
            return
        from ray.util.placement_group import placement_group

        self._group = placement_group([share.resources] * count, strategy="PACK")
        if not self._group.wait(timeout_s):
            self.close()
            raise UserError(_what_is_missing(self._ray, share, count, timeout_s))

    def hire(self, actor_class: type, index: int, *arguments: Any) -> Any:
        """Starts an actor in bundle `index`. It neither restarts nor retries by itself; see `cluster.pool.Pool`."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        options: dict[str, Any] = {}
        if self._group is not None:
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(self._group, index)
        actor = self._ray.remote(
            num_cpus=self.share.cpus, num_gpus=self.share.gpus, max_restarts=0, max_task_retries=0, **options
        )(actor_class)
        return actor.remote(*arguments)

    def close(self) -> None:
        if self._group is not None:
            from ray.util.placement_group import remove_placement_group

            remove_placement_group(self._group)


def _what_is_missing(ray: Any, share: Share, count: int, timeout_s: float) -> str:
    wanted = " and ".join(f"{amount:g} {name}" for name, amount in share.resources.items())
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    have = "; ".join(f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes[:6]) + (
        "; ..." if len(nodes) > 6 else ""
    )
    return (
        f"no room within {timeout_s:g} s for {count} workers with {wanted} each; the cluster's {len(nodes)} nodes have "
        f"{have}, less what others use: lower cluster.workers or the shares, or raise cluster.place_timeout_s"
    )
