"""A node dies, joins late or has no room left for objects; W&B is away. Through the command line."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.drills.recorded_run import RecordedRun
from tests.cluster.recorded_run import check_replay, recorded_run

pytestmark = pytest.mark.timeout(600)

Start = Callable[..., RecordedRun]


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Start]:
    """Makes a run with two workers, not started yet."""
    made: list[RecordedRun] = []

    def run(address: str | None = None, **settings: Any) -> RecordedRun:
        cluster = {"workers": 2, "address": address, **settings.pop("cluster", {})}
        made.append(recorded_run(tmp_path, cluster=cluster, **settings))
        return made[-1]

    yield run
    for one in made:
        one.kill()


@pytest.mark.slow
def test_a_dead_node_costs_its_workers_alone_and_a_late_one_takes_them_in(
    start_cluster: Callable[..., Any], prepare: Start
) -> None:
    nodes = start_cluster(num_cpus=0)
    nodes.add_node(num_cpus=1)
    doomed = nodes.add_node(num_cpus=1)
    run = prepare(nodes.address)
    run.train()
    run.wait(run.all_ready)
    for killed in doomed.live_processes():
        os.kill(killed[1].pid, signal.SIGKILL)
    nodes.worker_nodes.discard(doomed)  # nothing is left of it to shut down
    run.wait(lambda: run.metric("cluster/workers_alive") == 1)
    run.advance(20)  # with the worker that is left
    nodes.add_node(num_cpus=1)
    run.wait(run.all_ready)
    assert "Traceback" not in run.output
    run.finish()
    check_replay(run)


class Ballast:
    """Objects that fill the object store of a cluster to the last kilobytes."""

    def __init__(self, address: str) -> None:
        import ray

        ray.init(address, log_to_driver=False, logging_level="ERROR")
        self._held: list[Any] = []

    def load_until(self, condition: Callable[[], bool]) -> Callable[[], bool]:
        """The condition; before it is asked, the store is filled: what the run held meanwhile is free later."""

        def filled() -> bool:
            self.load()
            return condition()

        return filled

    def load(self) -> None:
        import ray

        for size in (2**20, 2**16, 2**12):
            while True:
                try:
                    self._held.append(ray.put(np.zeros(size, np.uint8)))
                except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError):
                    break

    def drop(self) -> None:
        self._held.clear()


@pytest.fixture
def full(start_cluster: Callable[..., Any]) -> Iterator[tuple[str, Ballast]]:
    """The address of a cluster with little room for objects and none on its disk, and what fills it.

    Results of workers are objects, however small.
    """
    import ray

    system = {
        "automatic_object_spilling_enabled": False,
        "local_fs_capacity_threshold": 0.0,
        "max_direct_call_object_size": 8000,
    }
    cluster = start_cluster(num_cpus=2, object_store_memory=80 * 2**20, _system_config=system)
    yield cluster.address, Ballast(cluster.address)
    ray.shutdown()


@pytest.mark.long
def test_a_full_object_store_delays_new_weights_and_is_said(full: tuple[str, Ballast], prepare: Start) -> None:
    address, ballast = full
    run = prepare(address)
    run.train()
    run.wait(run.all_ready)
    run.wait(ballast.load_until(lambda: "workers use an older one" in run.output))
    run.advance(10)
    ballast.drop()
    run.wait(lambda: run.metric("cluster/policy_lag") <= 4)
    assert run.metric("cluster/restarts") == 0 and "Traceback" not in run.output
    run.finish()
    check_replay(run)


@pytest.mark.long
def test_results_that_a_full_object_store_cannot_hold_are_lost_and_no_others(
    full: tuple[str, Ballast], prepare: Start
) -> None:
    address, ballast = full
    run = prepare(address, selfplay={"boards": 256, "moves_per_iteration": 8}, replay={"capacity": 20_000})
    run.train()
    run.wait(run.all_ready)
    run.wait(ballast.load_until(lambda: "self-play worker 0 is replaced" in run.output))
    ballast.drop()
    at = len(run.entries())
    run.wait(lambda: len(run.entries()) > at and run.all_ready())
    assert "Traceback" not in run.output
    run.finish()
    check_replay(run)


@pytest.mark.long
def test_with_wandb_out_of_reach_the_run_goes_on_and_says_so(prepare: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    run = prepare(tracking={"wandb": "online"})
    run.train(WANDB_BASE_URL=f"http://127.0.0.1:{closed}", WANDB_API_KEY="0" * 40, WANDB_MODE="online")
    run.wait(run.all_ready)
    run.advance(5)
    assert "W&B is off, training goes on" in run.output
    run.finish()
    check_replay(run)
