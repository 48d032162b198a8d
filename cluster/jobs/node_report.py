"""`python -m cluster.jobs.node_report [PRESET KEY=VALUE ...]`, run as a job: prints the nodes as one line of JSON."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from cluster.pool.connection import Connection, connect, error_summary, import_ray
from lab.errors import UserError
from lab.files.plain import parse_json
from lab.terminal.streams import say

if TYPE_CHECKING:
    from lab.config.sections import ExperimentConfig

MARK = "lab-node-report:"
_NODE_TIMEOUT_S = 30.0
_PLACE_TIMEOUT_S = 20.0  # an autoscaling cluster takes longer; a run waits for cluster.place_timeout_s


def main(arguments: Sequence[str]) -> None:
    """Print the report; with a preset, reserve the resources of its actors and release them."""
    from lab.config.loading import load_preset
    from lab.config.sections import ClusterConfig

    config = load_preset(arguments[0], arguments[1:]) if arguments else None
    with connect(ClusterConfig()) as connection:  # RAY_ADDRESS is the job's own cluster
        report = {"head": _head(connection), "nodes": _nodes(), "placement": _place(config)}
    say(f"{MARK} {json.dumps(report)}")


def read(output: str) -> dict[str, Any] | None:
    """The report in the output of a job, or None where there is none that can be read."""
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    try:
        found = parse_json(lines[-1].removeprefix(MARK)) if lines else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() >= {"head", "nodes", "placement"} else None


def _head(connection: Connection) -> dict[str, Any]:
    from ray._private.worker import global_worker

    from lab.run import tracking

    return {
        "authentication": connection.authentication,
        "dashboard": global_worker.node.address_info["webui_url"],
        "wandb": tracking.choose_mode("auto"),
    }


def _nodes() -> list[dict[str, Any]]:
    """The living nodes with their resources and the versions that a worker finds, or "error" without an answer."""
    ray = import_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(_versions)
    alive = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in alive
    ]
    ray.wait(asked, num_returns=len(asked), timeout=_NODE_TIMEOUT_S)
    return [_describe(ray, node, answer) for node, answer in zip(alive, asked, strict=True)]


def _describe(ray: Any, node: dict[str, Any], answer: Any) -> dict[str, Any]:
    resources = node["Resources"]
    described = {
        "address": node["NodeManagerAddress"],
        "head": "node:__internal_head__" in resources,
        "cpus": resources.get("CPU", 0.0),
        "gpus": resources.get("GPU", 0.0),
        "memory": resources.get("memory", 0.0),
        "object_store": resources.get("object_store_memory", 0.0),
    }
    try:
        return {**described, "versions": ray.get(answer, timeout=0.1)}
    except ray.exceptions.GetTimeoutError:
        ray.cancel(answer, force=True)
        return {**described, "error": f"no answer in {_NODE_TIMEOUT_S:g} s"}
    except ray.exceptions.RayError as error:
        ray.cancel(answer, force=True)
        return {**described, "error": error_summary(error)}


def _versions() -> dict[str, str]:
    from lab import __version__

    found = {name: metadata.version(name) for name in ("ray", "torch")}
    return {"python": platform.python_version(), "lab": __version__, **found}


def _place(config: ExperimentConfig | None) -> dict[str, Any] | None:
    """Reserve the resources of the preset's learners and workers, and release them."""
    if config is None:
        return None
    from cluster.pool.placement import PlacementGroup, Resources, learner_resources, worker_resources
    from lab.train import device

    resolved = device.resolve(config.device, config.precision, config.threads)
    start = time.monotonic()
    try:
        wanted = learner_resources(config.cluster, resolved) + worker_resources(config.cluster, resolved)
        if config.cluster.learners == 1:
            wanted.insert(0, Resources(config.cluster.learner_cpus, config.cluster.learner_gpus, 1))
        wanted = [one for one in wanted if one.bundle]
        if not wanted:
            return None
        PlacementGroup(wanted, min(_PLACE_TIMEOUT_S, config.cluster.place_timeout_s)).close()
    except UserError as error:
        return {"problem": str(error)}
    return {"bundles": [one.bundle for one in wanted], "seconds": time.monotonic() - start}


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"lab: {error}")
