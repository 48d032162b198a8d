"""`lab drill` on a cluster: what it does to a run and what it reports."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.command_line import launch

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def test_drills_are_passed_on_a_cluster_and_reported(start_cluster: Callable[..., Any]) -> None:
    cluster = start_cluster(num_cpus=2)
    # Of the name of each there is this: to kill one, and to have one hang.
    arguments = ("--only", "self-play worker", "--workers", "2", "--address", cluster.address, "--json")
    process = launch("drill", *arguments)
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, output + errors
    report = json.loads(output)
    assert report["ok"]
    assert [drill["drill"] for drill in report["drills"]] == ["kill a self-play worker", "suspend a self-play worker"]
    for drill in report["drills"]:
        assert drill["result"] == "passed" and 0 < drill["seconds"] <= drill["limit_s"], drill
