"""A node dies, joins late or runs out of room for objects; drills on a cluster. Through the command line."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.watch import alive
from tests.cluster.recorded_run import RecordedRun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def run(nodes: Any, tmp_path: Path) -> Iterator[RecordedRun]:
    """A run with two workers, not started yet."""
    run = RecordedRun(tmp_path, cluster={"workers": 2, "address": nodes.address})
    yield run
    run.kill()


def test_a_dead_node_costs_its_workers_alone_and_a_late_one_takes_them_in(nodes: Any, run: RecordedRun) -> None:
    nodes.add_node(num_cpus=1)
    doomed = nodes.add_node(num_cpus=1)
    run.train()
    run.wait_until(run.all_up)
    for killed in doomed.live_processes():
        os.kill(killed[1].pid, signal.SIGKILL)
    nodes.worker_nodes.discard(doomed)  # nothing is left of it to shut down
    run.wait_until(lambda: alive(run.path) == 1)
    run.go_on(20)  # with the worker that is left
    nodes.add_node(num_cpus=1)
    run.wait_until(run.all_up)
    assert "Traceback" not in run.output
    run.finish()
