"""Grading runs from the command line: resumed bit for bit, evaluated, and asked about essays."""

import dataclasses
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lab
from lab.cli.main import main
from lab.errors import UserError
from lab.grading.grader import load_grader
from lab.grading.grammar import generate
from lab.grading.page import FIGURE, PAGE
from lab.train.device import Device
from tests.lab.small_grading import essay_file, preset
from tests.same_run import assert_same_run

RUNS: dict[str, dict[str, Any]] = {
    "shuffled, with dropout": {"training": {"shuffled": 0.5, "micro_batch": 6}},
    "ordinal, shuffled": {"training": {"loss": "ordinal", "shuffled": 0.5}},
    "without the linear part": {"network": {"linear": False, "cell": "lstm", "layers": 2}},
}
ESSAY = generate(61, 0).texts[60]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("name", [next(iter(RUNS)), *(pytest.param(n, marks=pytest.mark.slow) for n in list(RUNS)[1:])])
def test_a_stopped_run_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    file = preset(tmp_path, **RUNS[name], evaluate={"every": 2})
    assert run("train", file, "--runs-dir", tmp_path, "--name", "whole") == 0
    parts = (file, "budget=64", "training.decay_examples=128", "--runs-dir", tmp_path, "--name", "parts")
    assert run("train", *parts) == 0
    assert run("resume", tmp_path / "parts", "budget=128") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of 60 essays of a file, and an essay.txt."""
    folder = tmp_path_factory.mktemp("runs")
    source = essay_file(folder)
    for fold in (0, 1):
        settings = {"source": str(source), "fold": fold, "folds": 3, "validation": 0.2}
        file = preset(folder, data=settings)
        assert run("train", file, "--runs-dir", folder, "--name", f"fold{fold}") == 0
    (folder / "essay.txt").write_text(ESSAY)
    return folder


def test_an_essay_is_graded_and_its_sentences_explain_it(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert run("predict", folder / "fold0", folder / "essay.txt", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    (essay,) = found["essays"]
    low, high = essay["interval"]
    assert 1.0 <= low <= essay["estimate"] <= high <= 5.0 and essay["score"] in np.arange(1.0, 5.5, 0.5)
    assert list(essay["traits"]) == ["grammar", "conventions", "vocabulary", "cohesion"]
    assert len(found["sentences"]) == ESSAY.count(". ") + 1
    assert sum(one["attention"] for one in found["sentences"]) == pytest.approx(1.0, abs=1e-5)
    (folder / "without.txt").write_text(ESSAY[len(found["sentences"][0]["text"]) + 1 :])
    assert run("predict", folder / "fold0", folder / "without.txt", "--json") == 0
    without = json.loads(capsys.readouterr().out)["essays"][0]["estimate"]
    assert essay["estimate"] - without == pytest.approx(found["sentences"][0]["effect"], abs=1e-6)
    assert run("predict", folder / "fold0", folder / "essay.txt") == 0
    shown = capsys.readouterr().out
    assert f"score {essay['score']:g}" in shown and "cohesion" in shown
    assert not caplog.messages


def test_the_offset_moves_the_score_and_not_the_traits(folder: Path) -> None:
    grader = load_grader(folder / "fold0", Device(torch.device("cpu"), "fp32", 1))
    before, after = (
        grader.predict([ESSAY])[0],
        dataclasses.replace(grader, offset=grader.offset - 0.1).predict([ESSAY])[0],
    )
    assert after[0] == pytest.approx(before[0] - 0.1) and np.array_equal(after[1:], before[1:])


def test_folds_are_averaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    estimates = []
    for names in (["fold0"], ["fold1"], ["fold0", "--with", "fold1"]):
        assert run("predict", names[0], folder / "essay.txt", *names[1:], "--runs-dir", folder, "--json") == 0
        estimates.append(json.loads(capsys.readouterr().out)["essays"][0]["estimate"])
    assert estimates[2] == pytest.approx((estimates[0] + estimates[1]) / 2.0)


def test_a_file_of_essays_and_the_python_interface_agree(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", folder / "fold0", folder / "essays.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["essays"]) == 60 and "sentences" not in found
    opened = lab.open_run(str(folder / "fold0"))
    for one, other in zip(opened.predict(generate(2, 0).texts), found["essays"], strict=False):
        assert one["traits"] == pytest.approx(other["traits"], abs=1e-5) and one["words"] == other["words"]
        assert (one["score"], one["estimate"]) == pytest.approx((other["score"], other["estimate"]), abs=1e-5)
    with pytest.raises(UserError, match="input 0 is empty"):
        opened.predict("")


def test_the_test_essays_are_compared_with_baselines_and_errors_have_a_page(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("eval", "fold0", "--with", "fold1", "--runs-dir", folder, "--page", folder / "page", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["test_essays"] == 40 and len(found["qwk_of_folds"]) == 2
    assert found["qwk"] == pytest.approx(np.mean(found["qwk_of_folds"]))
    methods = [row["method"] for row in found["methods"]]
    assert methods == ["this run", "word count", "surface ridge", "TF-IDF ridge"]
    assert sum(row["essays"] for row in found["by_score"]) == 40
    page = (folder / "page" / PAGE).read_text()
    assert "| this run |" in page and page.count("\n> ") == 12 and (folder / "page" / FIGURE).stat().st_size > 1000
    assert run("eval", "fold0", "--no-baselines", "--runs-dir", folder) == 0
    shown = capsys.readouterr().out
    assert "quadratic weighted kappa" in shown and "TF-IDF" not in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty: there is no essay to grade"),
        (" \n\n ", "is empty"),
        ("12 34.", "has no letters"),
        (b"\xff\xfe\xff", "is no text in UTF-8|has no letters"),
        (b"caf\xe9 is", "is no text in UTF-8"),
        (None, "there is no file"),
    ],
)
def test_what_cannot_be_graded_is_one_line(
    content: str | bytes | None, message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "bad.txt").write_bytes(content.encode() if isinstance(content, str) else content)
    assert run("predict", folder / "fold0", tmp_path / "bad.txt") == 2
    error = capsys.readouterr().err
    assert re.search(message, error) and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("Это сочинение о школьной форме. " * 12, "its letters are cyrillic, those of the training essays latin"),
        (ESSAY + " word" * 10_000, "words, more than the|the effects are those of the first 9 of its"),
        ("Too short.", "words, fewer than the"),
        ("Zyx wvu tsr qpo. " * 30, "words are in none of the training essays"),
    ],
)
def test_an_essay_unlike_those_of_training_is_graded_with_a_warning(
    text: str, warnings: str, folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "odd.txt").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert run("predict", folder / "fold0", folder / "odd.txt", "--json") == 0
    essay = json.loads(capsys.readouterr().out)["essays"][0]
    assert 1.0 <= essay["estimate"] <= 5.0
    for expected in warnings.split("|"):
        assert any(expected in message for message in caplog.messages)


def test_runs_of_other_scores_are_not_averaged(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (folder / "essays.csv").read_text().replace("cohesion", "order")
    (tmp_path / "essays.csv").write_text(source)
    file = preset(tmp_path, data={"source": str(tmp_path / "essays.csv")}, budget=32)
    assert run("train", file, "--runs-dir", tmp_path, "--name", "other") == 0
    capsys.readouterr()
    assert run("predict", folder / "fold0", folder / "essay.txt", "--with", tmp_path / "other") == 2
    assert "cannot be averaged" in capsys.readouterr().err
    for others, message in ((["--with", tmp_path / "other"], "different essays"), (["--with", "fold0"], "count twice")):
        assert run("eval", "fold0", *others, "--runs-dir", folder) == 2
        assert message in capsys.readouterr().err
