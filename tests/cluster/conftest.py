"""One Ray for all the tests that can share one: starting it takes several seconds."""

from collections.abc import Iterator

import pytest

from cluster.connect import Connection, connect
from lab.config import Cluster


@pytest.fixture(scope="session")
def ray_here() -> Iterator[Connection]:
    """A cluster on this machine that this process is connected to."""
    pytest.importorskip("ray")
    with connect(Cluster()) as connection:
        yield connection
