"""A node dies or joins late, the learner's own process dies: in processes of their own, through the command line."""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.connect import use_tokens
from cluster.watch import alive, descendants, entries, iteration, running
from tests.agents.small_alphazero import preset
from tests.command_line import lab, launch, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster whose head has no CPUs; nodes with some are the test's to add and to kill."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    if "RAY_AUTH_TOKEN" not in os.environ:
        monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    use_tokens()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


def test_a_dead_node_costs_its_workers_alone_and_a_late_one_takes_them_in(nodes: Any, tmp_path: Path) -> None:
    nodes.add_node(num_cpus=1)
    doomed = nodes.add_node(num_cpus=1)
    settings = preset(tmp_path, budget=10_000_000, cluster={"workers": 2, "address": nodes.address})
    run = tmp_path / "run"
    process = launch("train", settings, "--runs-dir", tmp_path, "--name", "run")
    try:
        wait_until(lambda: alive(run) == 2, process)
        for killed in doomed.live_processes():
            os.kill(killed[1].pid, signal.SIGKILL)
        wait_until(lambda: alive(run) == 1, process)
        at = iteration(run)
        wait_until(lambda: iteration(run) > at + 20, process)  # it goes on with the worker that is left
        nodes.add_node(num_cpus=1)
        wait_until(lambda: alive(run) == 2, process)
    finally:
        process.send_signal(signal.SIGTERM)
        output = "".join(process.communicate(timeout=100))
    assert process.returncode == 143, output
    assert "Traceback" not in output
    assert all(entry.counters["trained"] <= 2 * entry.counters["positions"] for entry in entries(run))
    nodes.worker_nodes.discard(doomed)  # nothing is left of it to shut down


def test_a_killed_learner_leaves_no_process_and_is_resumed(tmp_path: Path) -> None:
    settings = preset(tmp_path, budget=10_000_000, cluster={"workers": 1})
    run = tmp_path / "run"
    process = launch("train", settings, "--runs-dir", tmp_path, "--name", "run")
    wait_until(lambda: iteration(run) >= 8, process)
    started = descendants(process.pid)
    assert len(started) >= 3  # the head, the node and a worker at least
    process.kill()
    process.communicate()
    at = iteration(run)
    # Those that play end at once. Those that Ray holds ready look for its head for a minute first.
    deadline = time.monotonic() + 90
    while left := running(started):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.2)
    positions = entries(run)[-1].counters["positions"]
    output = lab("resume", run, f"budget={positions + 200}")
    assert "continuing from iteration" in output
    found = entries(run)
    assert found[-1].counters["positions"] >= positions + 200 and found[-1].iteration > at - 3
    assert [entry.iteration for entry in found] == list(range(1, len(found) + 1))
    assert all(entry.counters["trained"] <= 2 * entry.counters["positions"] for entry in found)
