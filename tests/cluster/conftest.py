"""One Ray for all tests that need no other: starting it takes several seconds."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster.pool.connection import Connection, connect, use_tokens
from lab.config.sections import ClusterConfig


@pytest.fixture(scope="session")
def ray_here() -> Iterator[Connection]:
    """A cluster on this machine that this process is connected to."""
    pytest.importorskip("ray")
    with connect(ClusterConfig()) as connection:
        yield connection


@pytest.fixture
def start_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Starts a cluster whose head has what is asked for; nodes are the test's to add and to kill."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Nodes

    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    use_tokens()
    started = []

    def start(**head: Any) -> Any:
        started.append(Nodes(initialize_head=True, head_node_args={"include_dashboard": False, **head}))
        return started[-1]

    yield start
    for cluster in started:
        cluster.shutdown()
