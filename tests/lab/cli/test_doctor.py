"""`lab doctor`: reports what is there, fails when something needed is broken, tells no secret."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.cli import doctor
from lab.cli.main import main
from lab.config.registry import kind_names


def report(capsys: pytest.CaptureFixture[str], *options: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["doctor", "--json", *options]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_sound_installation_is_reported_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys)
    assert found["ok"] is True
    assert found["versions"]["torch"] == torch.__version__
    assert found["devices"]["threads"] == torch.get_num_threads()
    assert found["disk"]["writable"] is True
    assert found["run_loop"] == {"state": "ok"}
    assert found["kinds"] == dict.fromkeys(kind_names(), "ok")


def test_the_terminal_report_ends_with_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "no problems found"


def test_a_place_that_cannot_be_written_is_broken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    # A path below a file: nobody can write there, the superuser included.
    (tmp_path / "file").write_text("")
    found = report(capsys, "--runs-dir", str(tmp_path / "file" / "runs"), code=1)
    assert found["disk"]["writable"] is False
    assert "cannot be written" in str(found["problems"])


def test_a_missing_requirement_is_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "REQUIRED", (*doctor.REQUIRED, "surely-not-installed"))
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert "broken: surely-not-installed is not installed" in captured.err
    assert "everything" not in captured.out


def test_a_broken_preset_is_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.config.presets.preset_names", lambda: ["alphazero/nowhere"])
    found = report(capsys, code=1)
    assert "unknown preset" in str(found["presets"]["alphazero/nowhere"])


def test_the_key_is_noticed_and_never_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef" * 2)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    found = report(capsys)
    assert found["wandb"] == {"key_present": True, "mode": "online"}
    assert "0123456789abcdef" not in json.dumps(found)
    main(["doctor"])
    assert "0123456789abcdef" not in "".join(capsys.readouterr())


def test_it_creates_no_runs_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report(capsys, "--runs-dir", str(tmp_path / "new" / "runs"))
    assert os.listdir(tmp_path) == []


def test_a_module_that_does_not_import_here_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(target: str) -> Any:
        if "launch" in target or "gans.series" in target:
            raise ModuleNotFoundError("No module named 'fcntl'")
        return target

    monkeypatch.setattr(doctor, "load", absent)
    found = report(capsys, code=1)
    problems = [problem for problem in found["problems"] if "fcntl" in problem]
    assert len(problems) == 2 and "the run loop does not load" in problems[0] and "series_gan" in problems[1]


def test_every_core_dependency_is_checked() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=~; ]", line)[0] for line in project["dependencies"]}
    assert names == set(doctor.REQUIRED)


@pytest.mark.parametrize("locks", [True, False])
def test_a_file_system_without_locks_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    monkeypatch.setattr("lab.run.lock.FolderLock.enforced", locks)
    assert report(capsys)["disk"]["locks"] is locks
    assert main(["doctor"]) == 0
    assert ("nothing keeps two processes" in capsys.readouterr().out) is not locks


def test_a_mac_s_gpu_is_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(capsys)["devices"]["mps"] is torch.backends.mps.is_available()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert main(["doctor"]) == 0
    assert "device=mps" in capsys.readouterr().out
