"""Every preset solves its task: answers to inputs that it has never seen, and sums that add up."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from lab.sequences.text import sentence, sums_entropy

SOLVED = {
    "bit_count": ("exact_match", 0.99),
    "spell": ("exact_match", 0.98),
    "parity": ("exact_match", 0.99),
    "adding": ("rounded_accuracy", 0.98),
    "brackets": ("exact_match", 0.98),
    "reverse": ("exact_match", 0.98),
    "reverse_add": ("exact_match", 0.99),
}

SMALLER = {
    "bit_count": ("data.size=6", "budget=12288"),
    "parity": ("data.size=4", "budget=12288"),
    "adding": ("data.size=3", "budget=24576", "training.batch_size=32"),
    "reverse": ("data.size=4", "budget=12288"),
    "brackets": (
        "data.size=12",
        "budget=30720",
        "network.layers=1",
        "network.cell=gru",
        "training.batch_size=96",
        "training.learning_rate=2e-2",
    ),
}
"""Presets of which a smaller one is learned in seconds."""

QUICK = ("bit_count", "parity")


def run(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    capsys.readouterr()
    run(*arguments, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SMALLER]
)
def test_a_smaller_task_is_all_but_solved_in_seconds(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("evaluate.every=0", "tracking.wandb=off", *SMALLER[name])
    run("train", f"sequences/{name}", *settings, "--runs-dir", tmp_path, "--name", "run")
    metric, _ = SOLVED[name]
    assert answer(capsys, "eval", tmp_path / "run")[metric] > 0.85


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in QUICK else pytest.mark.long) for name in SOLVED]
)
def test_a_preset_solves_its_task(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metric, least = SOLVED[name]
    run("train", f"sequences/{name}", "--runs-dir", tmp_path, "--name", "run", "tracking.wandb=off")
    graded = answer(capsys, "eval", tmp_path / "run")
    assert graded[metric] >= least, graded
    assert graded["test_examples"] >= 200


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_language_model_comes_near_the_entropy_of_its_text_and_writes_true_sums(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train", "sequences/sums", "--runs-dir", tmp_path, "--name", "run", "tracking.wandb=off")
    graded = answer(capsys, "eval", tmp_path / "run")
    assert 0.98 * sums_entropy() < graded["loss"] < 1.1 * sums_entropy(), graded
    texts = answer(capsys, "sample", tmp_path / "run", "--chars", 2000, "--temperature", 0.8)["texts"]
    lines = [line for line in texts[0].splitlines()[:-1] if line]
    true = {sentence(one, other) for one in range(13) for other in range(13)}
    assert len(lines) > 40 and sum(line in true for line in lines) / len(lines) > 0.95
    assert all(re.fullmatch(r"[a-z ]+ and [a-z ]+ make [a-z ]+\.", line) for line in lines)
