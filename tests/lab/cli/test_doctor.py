"""`lab doctor`: reports what is there, fails when something needed is broken, tells no secret."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.cli import doctor
from lab.cli.main import main


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
