"""One Ray for the tests of a file: starting it takes several seconds.

Not one for all files: some try other tokens, and Ray keeps one token in a process, which a cluster at work then misses.
"""

from collections.abc import Iterator

import pytest

from cluster.connect import Connection, connect
from lab.config import Cluster


@pytest.fixture(scope="module")
def ray_here() -> Iterator[Connection]:
    """A cluster on this machine that this process is connected to."""
    pytest.importorskip("ray")
    with connect(Cluster()) as connection:
        yield connection
