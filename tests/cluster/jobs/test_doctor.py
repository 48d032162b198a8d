"""`lab doctor --cluster`: what a run would miss there is found before it is sent, with the fix beside it."""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.jobs import node_report, working_dir
from cluster.jobs.checks import memory
from cluster.pool.connection import Connection
from lab.cli.main import main
from lab.config.loading import load_preset
from tests.cluster.job_server import JobServer, running

ray = pytest.importorskip("ray")

PRESET = "alphazero/tic_tac_toe"
VERSIONS = {"python": "3.11.7", "lab": "0.1.0", "ray": "2.60.0", "torch": "2.13.0"}
NODE = {"address": "10.0.0.10", "head": True, "cpus": 8.0, "gpus": 0.0, "memory": 16e9, "object_store": 4e9}
SOUND: dict[str, Any] = {
    "head": {"authentication": "token", "dashboard": "127.0.0.1:8265", "wandb": "online"},
    "nodes": [{**NODE, "versions": VERSIONS}, {**NODE, "address": "10.0.0.11", "head": False, "versions": VERSIONS}],
    "placement": {"bundles": [{"CPU": 1.0}], "seconds": 0.1},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    """A cluster whose report has no problem."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
    with running(JobServer(ray.__version__, logs=report(SOUND))) as started:
        yield started


def report(content: dict[str, Any]) -> str:
    return f"Running entrypoint\n{node_report.MARK} {json.dumps(content)}\n"


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The sound report with one value changed."""
    content = copy.deepcopy(SOUND)
    inner: Any = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return content


def doctor(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path, *arguments: str, code: int = 0
) -> dict[str, dict[str, str]]:
    """The checks by name."""
    capsys.readouterr()
    place = ("--address", server.address, "--working-dir", str(folder))
    assert main(["doctor", "--cluster", "--json", *place, *arguments]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] == (code == 0)
    return {check["name"]: check for check in found["checks"]}


def states(checks: dict[str, dict[str, str]], state: str) -> list[str]:
    return [name for name, check in checks.items() if check["state"] == state]


def test_a_sound_cluster_passes_every_check(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path
) -> None:
    checks = doctor(capsys, server, tmp_path, "--preset", PRESET, "cluster.workers=2")
    assert states(checks, "ok") == list(checks)
    asked = {"authentication", "dashboard", "placement", "memory", "object store", "upload", "versions", "W&B"}
    assert asked <= set(checks)


def test_the_table_names_each_check(capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path) -> None:
    assert main(["doctor", "--cluster", "--address", server.address, "--working-dir", str(tmp_path)]) == 0
    assert "authentication" in capsys.readouterr().out


def test_the_job_of_the_report_gets_the_preset_and_its_overrides(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path
) -> None:
    doctor(capsys, server, tmp_path, "--preset", PRESET, "cluster.workers=2")
    assert server.submitted[0]["entrypoint"] == f"python -m cluster.jobs.node_report {PRESET} cluster.workers=2"


@pytest.mark.parametrize(
    ("path", "value", "name", "state"),
    [
        (("head", "dashboard"), "10.0.0.10:8265", "dashboard", "warn"),
        (("head", "wandb"), "offline", "W&B", "warn"),
        (("nodes", 1, "versions"), {**VERSIONS, "python": "3.12.1"}, "versions", "fail"),
        (("nodes", 1), {**NODE, "error": "no answer in 30 s"}, "nodes", "fail"),
        (("placement",), {"problem": "not enough free resources within 20 s"}, "placement", "fail"),
        (("nodes", 0, "memory"), 1e5, "memory", "fail"),
        (("nodes", 1, "object_store"), 1e5, "object store", "fail"),
    ],
)
def test_each_fault_is_found_and_has_a_fix(
    capsys: pytest.CaptureFixture[str],
    server: JobServer,
    tmp_path: Path,
    path: tuple[Any, ...],
    value: Any,
    name: str,
    state: str,
) -> None:
    server.logs = report(changed(path, value))
    arguments = ("--preset", PRESET, "cluster.workers=2")
    checks = doctor(capsys, server, tmp_path, *arguments, code=1 if state == "fail" else 0)
    assert states(checks, state) == [name]
    assert checks[name]["fix"]


def test_a_cluster_that_lets_everybody_in_fails(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path
) -> None:
    server.token = None
    checks = doctor(capsys, server, tmp_path, code=1)
    assert states(checks, "fail") == ["authentication"]
    assert "RAY_AUTH_MODE=token" in checks["authentication"]["fix"]


def test_an_open_dashboard_without_tokens_fails_too(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path
) -> None:
    server.token, server.logs = None, report(changed(("head", "dashboard"), "10.0.0.10:8265"))
    assert states(doctor(capsys, server, tmp_path, code=1), "fail") == ["authentication", "dashboard"]


def test_a_wrong_token_ends_the_examination(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    checks = doctor(capsys, server, tmp_path, code=1)
    assert states(checks, "fail") == list(checks) == ["job server"]
    assert server.submitted == []


def test_an_upload_too_large_fails_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_dir, "LIMIT_BYTES", 10)
    (tmp_path / "big.csv").write_bytes(bytes(100))
    assert states(doctor(capsys, server, tmp_path, code=1), "fail") == ["upload"]
    assert server.submitted == []


def test_a_job_that_fails_there_shows_its_last_words(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path
) -> None:
    server.logs = "Running entrypoint\n/bin/sh: python: not found\n"
    checks = doctor(capsys, server, tmp_path, code=1)
    assert "python: not found" in checks["job"]["detail"]


def test_without_workers_placement_is_only_a_warning(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path
) -> None:
    server.logs = report(changed(("placement",), None))
    assert states(doctor(capsys, server, tmp_path, "--preset", PRESET), "warn") == ["placement"]


@pytest.mark.parametrize(("memory_bytes", "state"), [(3e6, "ok"), (2e6, "warn"), (1e6, "fail")])
def test_replay_is_held_against_the_heads_memory(memory_bytes: float, state: str) -> None:
    # 50,000 rows of 28 bytes: 2 x 9 bits in 3 bytes, nine actions of 2, and 7 for outcome, value and version.
    config = load_preset(PRESET, ["replay.capacity=50000"])
    check, _ = memory(config, [{**NODE, "memory": memory_bytes}])
    assert check.state == state


def test_a_preset_that_is_wrong_is_a_mistake_and_no_finding(
    capsys: pytest.CaptureFixture[str], server: JobServer, tmp_path: Path
) -> None:
    place = ["--address", server.address, "--working-dir", str(tmp_path)]
    assert main(["doctor", "--cluster", "--preset", "alphazero/tic_tac_to", *place]) == 2
    assert PRESET in capsys.readouterr().err


def test_options_of_a_cluster_without_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--preset", PRESET]) == 2
    assert "--cluster" in capsys.readouterr().err


@pytest.mark.slow
def test_the_report_finds_this_machine_and_releases_its_resources(
    ray_here: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    before = ray.available_resources().get("CPU", 0.0)
    node_report.main([PRESET, "cluster.workers=1"])
    found = node_report.read(capsys.readouterr().out)
    assert found is not None
    assert found["nodes"][0]["head"]
    assert found["nodes"][0]["versions"]["ray"] == ray.__version__
    assert found["placement"]["bundles"] == [{"CPU": 1.0}]
    wait_until_free(before)


def wait_until_free(cpus: float) -> None:
    """Ray releases a reservation a moment after the call."""
    deadline = time.monotonic() + 20
    while ray.available_resources().get("CPU", 0.0) < cpus:  # more if other tests have released theirs
        assert time.monotonic() < deadline, "the resources were not released"
        time.sleep(0.1)


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "{}", "NaN", '{"head": 1e999}', "{", "1"])
def test_a_report_that_cannot_be_read_is_none(content: str) -> None:
    assert node_report.read(f"Running entrypoint\n{node_report.MARK} {content}\n") is None
