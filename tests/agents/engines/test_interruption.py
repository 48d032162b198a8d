"""`lab arena` is interrupted or killed while its engines think: no process is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.cli import main
from tests.agents.engines.test_external import FOLDER, alive, ended

SMALL = ["budget=200", "selfplay.boards=16", "selfplay.moves_per_iteration=8", "search.simulations=4"]
SMALL += [
    "replay.min_positions=32",
    "learner.batch_size=32",
    "evaluate.every=100",
    "evaluate.simulations=1",
    "checkpoint.every=1",
    "device=cpu",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    assert main.main(["train", "alphazero/tic_tac_toe", *SMALL, "--name", "three", "--runs-dir", str(folder)]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.timeout(400)  # a loaded machine takes a minute to start `lab` and to train
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_engine_outlives_the_arena(number: signal.Signals, runs: Path, tmp_path: Path) -> None:
    if number == signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux ends the children of a killed process")
    file = tmp_path / "processes"
    engine = f"gtp:{sys.executable} -I -S {FOLDER / 'fake_gtp.py'} stubborn hang=2 child={file}"
    command = [sys.executable, "-m", "lab", "arena", "three", engine, "--simulations", "0", "--concurrency", "2"]
    command += ["--runs-dir", str(runs)]
    arena = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 180
        while not file.exists() or len(file.read_text().splitlines()) < 2:
            assert arena.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        engines = [int(line.split()[0]) for line in file.read_text().splitlines()]
        children = [int(line.split()[1]) for line in file.read_text().splitlines()]
        assert any(map(alive, engines))
        arena.send_signal(number)
        _, errors = arena.communicate(timeout=60)
    finally:
        arena.kill()
        arena.wait()
    assert ended(engines)
    if number == signal.SIGKILL:
        for child in children:  # of the engine itself, which the kernel does not end
            os.kill(child, signal.SIGKILL)
    else:
        assert arena.returncode == 128 + number and f"stopped by {number.name}" in errors
        assert ended(children) and "Traceback" not in errors
