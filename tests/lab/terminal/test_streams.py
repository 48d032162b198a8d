"""Standard streams that are closed, end early, vanish or cannot encode what is printed."""

import errno
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import pytest

from lab.cli.main import main
from lab.config.registry import KINDS
from lab.run.metrics import MetricsLog, read
from lab.terminal import streams
from tests.command_line import ROOT
from tests.lab import counting_kind


def environment(runs: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "LAB_RUNS": str(runs), "PYTHONPATH": str(ROOT), **more}


def shell(script: str, runs: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    script = script.replace("LAB ", f"{sys.executable} -m lab ")
    command, env = ["bash", "-c", script], environment(runs, **more)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=60)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with signs beyond ASCII in its metrics; returns the runs directory."""
    path = tmp_path / "r"
    path.mkdir()
    (path / "config.yaml").write_text("kind: supervised\nbudget: 12\n")
    with MetricsLog(path / "metrics.jsonl") as log:
        for iteration in range(1, 4):
            log.append(iteration, {"samples": iteration}, {"eval/accuracy": 0.1 * iteration}, 1.0)
    return tmp_path


def also_slowly(first: str, *others: str) -> list[Any]:
    """Parameters of which only the first is tried each time."""
    return [first, *(pytest.param(other, marks=pytest.mark.slow) for other in others)]


@pytest.mark.parametrize("encoding", also_slowly("latin-1", "ascii", "cp1252"))
def test_signs_that_a_stream_cannot_encode_are_substituted(run: Path, encoding: str) -> None:
    done = shell("LAB show r", run, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"eval/accuracy" in done.stdout


@pytest.mark.slow
def test_a_name_in_an_error_that_a_stream_cannot_encode_is_substituted(run: Path) -> None:
    done = shell("LAB show 'kätzchen 猫'", run, PYTHONIOENCODING="latin-1")
    assert done.returncode == 2
    assert done.stderr.decode("latin-1").count("\n") == 1
    assert "tzchen ?'" in done.stderr.decode("latin-1")


@pytest.mark.parametrize("closed", also_slowly(">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"))
@pytest.mark.parametrize("command", also_slowly("LAB list", "LAB --version", "LAB show r", "LAB list --json"))
def test_a_closed_stream_is_no_error(run: Path, command: str, closed: str) -> None:
    done = shell(f"{command} {closed}", run)
    assert done.returncode == 0
    assert b"Traceback" not in done.stdout + done.stderr
    if ">&- 2>&-" not in closed:
        assert done.stderr == b""


@pytest.mark.parametrize("command", also_slowly("LAB list", "LAB --help", "LAB config supervised/iris", "LAB show r"))
def test_a_reader_that_leaves_ends_a_command_quietly(run: Path, command: str) -> None:
    done = shell(f"{command} | true; exit ${{PIPESTATUS[0]}}", run, PYTHONUNBUFFERED="1")
    assert done.returncode in (0, 1)
    assert done.stderr == b""


def test_a_full_disk_behind_standard_output_is_said(run: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell("LAB list > /dev/full", run)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"No space left on device" in done.stderr


def without_reader() -> TextIO:
    read, write = os.pipe()
    os.close(read)
    return open(write, "w")


def without_terminal() -> TextIO:
    master, slave = pty.openpty()
    os.close(master)
    return open(slave, "w")


@pytest.mark.parametrize(("gone", "why"), [(without_reader, "Broken pipe"), (without_terminal, "Input/output error")])
def test_training_goes_on_without_its_output_and_writes_its_log(
    gone: Callable[[], TextIO],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(KINDS, "counting", counting_kind.KIND)
    preset, run = tmp_path / "tally.yaml", tmp_path / "a"
    preset.write_text("kind: counting\nbudget: 12\ncheckpoint: {every: 2}\n")
    with gone() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["train", str(preset), "--name", "a", "--runs-dir", str(tmp_path), "budget=6"]) == 0
    with gone() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["resume", str(run), "budget=12"]) == 0
    assert read(run / "metrics.jsonl")[-1].counters["steps"] == 12
    log = (run / "log.txt").read_text()
    assert log.count(f"standard output is gone ({why})") == 2
    assert "complete: 12 steps" in log
    assert capsys.readouterr().err.count(f"{run}/log.txt") == 2


@pytest.mark.slow
def test_training_in_a_process_goes_on_without_a_reader(tmp_path: Path) -> None:
    preset = tmp_path / "small.yaml"
    preset.write_text("base: supervised/diabetes\nbudget: 3_200\ntracking: {wandb: off}\n")
    done = shell(f"LAB train {preset} --name a | true; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"standard output is gone") == 1
    assert "standard output is gone" in (tmp_path / "a" / "log.txt").read_text()
    assert any((tmp_path / "a" / "checkpoints").iterdir())


def test_a_write_that_fails_otherwise_is_not_taken_for_a_lost_reader() -> None:
    from lab.terminal.streams import guarded

    class Full:
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def fileno(self) -> int:
            raise OSError

    before, sys.stdout = sys.stdout, Full()
    try:
        with guarded(outlive=False), pytest.raises(OSError, match="No space"):
            sys.stdout.write("x")
        with guarded(outlive=True):
            sys.stdout.write("x")
    finally:
        sys.stdout = before


def test_a_list_of_problems_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    streams.warn("lab: two problems:\n  one \x1b[31m\n  two\nbroken name")
    assert capsys.readouterr().err == "lab: two problems:\n  one \\x1b[31m\n  two\\nbroken name\n"
