"""Whole trainings through the command line, evaluated against exact solutions."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import ROOT

pytestmark = pytest.mark.timeout(900)


def _lab(*arguments: str | Path) -> str:
    """`lab ARGUMENTS` with minutes to run; returns standard output."""
    command = [sys.executable, "-m", "lab", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=850)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _evaluated(runs: Path, simulations: int) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(
        _lab("eval", "run", "--runs-dir", runs, "--simulations", str(simulations), "--json")
    )
    return report


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param("tic_tac_toe", marks=pytest.mark.slow),
        pytest.param("tic_tac_toe_recurrent", marks=pytest.mark.long),
    ],
)
def test_tic_tac_toe_is_learned_to_minimax(preset: str, tmp_path: Path) -> None:
    _lab("train", f"alphazero/{preset}", "--name", "run", "--runs-dir", tmp_path)
    report = _evaluated(tmp_path, simulations=32)
    assert report["positions"] == 4520
    assert report["optimal_outcome"]["overall"] >= 0.995
    assert report["network_alone"]["optimal_outcome"]["overall"] >= 0.93
    assert report["every_line"]["never_loses"]


@pytest.mark.long
def test_connect_four_passes_the_win_block_centre_rule_in_a_tenth_of_its_budget(tmp_path: Path) -> None:
    # 0.73 is what a rule gets that wins, blocks, does not hand over a win, and prefers the centre.
    options = ("budget=110000", "learner.decay_positions=110000")
    _lab("train", "alphazero/connect_four", *options, "--name", "run", "--runs-dir", tmp_path)
    report = _evaluated(tmp_path, simulations=64)
    assert report["positions"] == 500
    assert report["optimal_outcome"]["overall"] >= 0.75
