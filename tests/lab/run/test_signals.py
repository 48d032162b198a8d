"""Ctrl-C and SIGTERM leave a checkpoint, say how to go on, and exit as shells expect."""

import signal
import subprocess
from pathlib import Path

import pytest

from lab.run import checkpoint, metrics
from tests.command_line import wait_until
from tests.lab.run.test_loop import train
from tests.lab.toy import config, lab, launch, preset
from tests.same_run import assert_same_run


def start(folder: Path, **changes: object) -> tuple[subprocess.Popen[str], Path]:
    process = launch("train", preset(folder, **changes), "--runs-dir", folder, "--name", "run")
    return process, folder / "run"


def iterations(run: Path) -> int:
    return max((entry.iteration for entry in metrics.read(run / "metrics.jsonl")), default=0)


def newest(run: Path) -> int:
    path = checkpoint.latest_valid(run / "checkpoints", pytest.fail)
    return -1 if path is None else int(path.name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_the_iteration_in_hand_and_resume_goes_on_exactly(
    tmp_path: Path, number: signal.Signals
) -> None:
    process, run = start(tmp_path, pause_s=0.1, checkpoint={"every": 1000})
    wait_until(lambda: iterations(run) >= 2, process)
    process.send_signal(number)
    output = "".join(process.communicate(timeout=60))
    assert process.returncode == 128 + number
    assert newest(run) == iterations(run) < 20
    assert f"lab resume {run}" in output and "Traceback" not in output
    lab("resume", run)
    straight, _ = tmp_path / "straight", train(tmp_path / "straight", config(checkpoint={"every": 1000}))
    assert_same_run(straight, run)


@pytest.mark.slow
def test_a_signal_during_an_evaluation_saves_after_it(tmp_path: Path) -> None:
    process, run = start(tmp_path, evaluation_s=2.0, checkpoint={"every": 1000}, evaluate={"every": 3})
    wait_until(lambda: iterations(run) == 3, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143 and newest(run) == 3
    manifest = checkpoint.read_manifest(run / "checkpoints" / "000003")
    assert manifest.meta["evaluation_due"] is False


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    process, run = start(tmp_path, evaluation_s=60.0, checkpoint={"every": 2}, evaluate={"every": 5})
    assert process.stderr is not None
    wait_until(lambda: iterations(run) == 5, process)
    process.send_signal(signal.SIGINT)
    while "Ctrl-C again" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output = "".join(process.communicate(timeout=30))  # well before the evaluation would end
    assert process.returncode == 130 and newest(run) == 4
    assert "Traceback" not in output and f"lab resume {run}" in output


@pytest.mark.slow
def test_repeated_sigterm_does_not_cut_the_saving_short(tmp_path: Path) -> None:
    process, run = start(tmp_path, pause_s=0.5, checkpoint={"every": 1000})
    assert process.stderr is not None
    wait_until(lambda: iterations(run) >= 1, process)
    process.send_signal(signal.SIGTERM)
    while "SIGTERM: stopping" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143 and newest(run) == iterations(run)


@pytest.mark.slow
def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the process inherits it
    try:
        process, run = start(tmp_path, pause_s=0.05)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_until(lambda: iterations(run) >= 1, process)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0 and iterations(run) == 20
