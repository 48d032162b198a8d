"""A cluster that cannot be had is one line, before a run is created, and nothing is left running."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.drills.processes import descendants
from cluster.pool import connection
from cluster.pool.connection import Connection, Versions
from lab.cli.main import main
from tests.agents.small_alphazero import preset

Refused = Callable[..., str]


@pytest.fixture
def refused(
    ray_here: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """What is said of a run with these settings, which is to end before anything is created.

    This process is connected to a cluster, as all tests are; to the code it looks as if it were not.
    """
    import ray

    for name, value in (("is_initialized", False), ("init", None), ("shutdown", None)):
        monkeypatch.setattr(ray, name, lambda *_, value=value, **__: value)

    def train(*overrides: str) -> str:
        settings, before = preset(tmp_path, cluster={"workers": 1}), descendants(os.getpid())
        assert main(["train", str(settings), *overrides, "--runs-dir", str(tmp_path), "--name", "run"]) == 2
        assert not (tmp_path / "run").exists()
        assert descendants(os.getpid()) <= before
        return one_line(capsys.readouterr().err)

    return train


def one_line(output: str) -> str:
    (line,) = output.splitlines()
    assert line.startswith("lab: ")
    return line


def test_without_ray_the_installation_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    settings = preset(tmp_path, cluster={"workers": 1})
    assert main(["train", str(settings), "--runs-dir", str(tmp_path), "--name", "run"]) == 2
    assert "pip install 'rivals-lab[cluster]'" in one_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_a_token_s_file_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    settings = preset(tmp_path, cluster={"workers": 1})
    assert main(["train", str(settings), "--runs-dir", str(tmp_path), "--name", "run"]) == 2
    assert f"{tmp_path / 'token'} has no Ray token" in one_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_an_address_where_nothing_answers(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no Ray cluster answers at 127.0.0.1:1 " in refused("cluster.address=127.0.0.1:1")


@pytest.mark.parametrize(
    ("token", "said"), [(None, "needs a token and none was found"), ("0" * 64, "does not accept this token")]
)
def test_the_right_token_is_asked_for(
    refused: Refused, ray_here: Connection, monkeypatch: pytest.MonkeyPatch, token: str | None, said: str
) -> None:
    monkeypatch.setattr(connection, "find_token", lambda: token)
    line = refused(f"cluster.address={ray_here.address}")
    assert said in line and "RAY_AUTH_TOKEN" in line
    assert "0000" not in line


def test_both_versions_are_named_where_they_differ(
    refused: Refused, ray_here: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "query_versions", lambda *_: Versions("2.9.0", "3.9.1"))
    line = refused(f"cluster.address={ray_here.address}")
    assert "runs Ray 2.9.0 on Python 3.9.1, this process Ray" in line


def test_the_real_cluster_tells_its_versions(ray_here: Connection) -> None:
    import platform

    import ray

    assert connection.query_versions(ray_here.address, connection.find_token()) == Versions(
        ray.__version__, platform.python_version()
    )


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cluster.workers=5000", "5000 workers with 1 CPUs each need 5000"),
        ("cluster.worker_gpus=100", "do not fit on this machine's"),
    ],
)
def test_more_than_this_machine_has(refused: Refused, setting: str, said: str) -> None:
    assert said in refused(setting)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8265", "ray://127.0.0.1:10001", "head"])
def test_addresses_of_another_kind_lead_to_submit(refused: Refused, address: str) -> None:
    assert "`lab submit`" in refused(f"cluster.address={address}")
