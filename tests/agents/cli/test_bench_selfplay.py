"""`lab bench selfplay` prints one JSON object whose numbers agree with each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.cli import bench_selfplay as bench
from lab.cli.main import main

KEYS = {
    "raw_evals_per_s",
    "simulations_per_s",
    "ratio",
    "network_ratio",
    "moves_per_s",
    "games_per_h",
    "seconds_by_component",
    "peak_memory_mb",
    "device",
    "evaluated_fraction",
    "ended_fraction",
    "repeated_fraction",
}
SMALL = "--game tic_tac_toe --channels 4 --blocks 1 --batch 8 --simulations 4 --device cpu --threads 1 --seconds 0.6"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparisons, which take seconds each, take a moment."""
    monkeypatch.setattr(bench, "COMPARED_S", 0.05)


def measured(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["bench", "selfplay", *SMALL.split(), *options, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)  # one object and nothing else
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("options", [[], ["--no-table"], ["--search", "puct"]], ids=["table", "no table", "puct"])
def test_the_numbers_agree_with_each_other(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = measured(capsys, *options)
    assert found.keys() >= KEYS
    assert (found["channels"], found["blocks"], found["batch"], found["simulations"]) == (4, 1, 8, 4)
    assert (found["game"], found["device"], found["threads"]) == ("tic_tac_toe", "cpu", 1)
    assert found["evaluated_fraction"] + found["ended_fraction"] + found["repeated_fraction"] == pytest.approx(1.0)
    assert found["ratio"] == pytest.approx(found["simulations_per_s"] / found["raw_evals_per_s"])
    assert found["network_ratio"] == pytest.approx(found["ratio"] * found["evaluated_fraction"])
    # Each move of each board is a root evaluation and as many leaves as there are simulations.
    assert found["simulations_per_s"] == pytest.approx(found["moves_per_s"] * 5)
    assert found["table"] == ("--no-table" not in options)
    assert (found["repeated_fraction"] > 0) == found["table"]
    parts = found["seconds_by_component"]
    assert isinstance(parts, dict) and min(parts.values()) > 0
    assert found["games_per_h"] > 0 and 50 < found["peak_memory_mb"] < 10_000


def test_a_preset_gives_game_network_and_search(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    preset = tmp_path / "own.yaml"
    preset.write_text(
        "kind: alphazero\nbudget: 100\ngame: {name: go, options: {size: 3}}\nnetwork: {channels: 4, blocks: 1}\n"
        "search: {simulations: 4}\nselfplay: {boards: 8}\n"
    )
    quick = ["--device", "cpu", "--threads", "1", "--seconds", "0.2", "--json"]
    assert main(["bench", "selfplay", str(preset), "--batch", "4", *quick]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["game"], found["channels"], found["blocks"]) == ("go", 4, 1)
    assert (found["batch"], found["simulations"]) == (4, 4)
    assert main(["bench", "selfplay", str(preset), "--game", "tic_tac_toe", *quick]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert main(["bench", "selfplay", "supervised/digits", *quick]) == 2
    assert "not alphazero" in capsys.readouterr().err


def test_without_json_it_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "selfplay", *SMALL.split()]) == 0
    output = capsys.readouterr().out
    assert "of the network alone" in output and "{" not in output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--game", "conect_four"], "did you mean 'connect_four'"),
        (["--search", "alphabeta"], "search.algorithm"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_a_mistake_is_one_line(options: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "selfplay", *SMALL.split(), *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and expected in captured.err
    assert captured.err.startswith("lab: ") and captured.err.count("\n") == 1


def test_measuring_leaves_no_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    measured(capsys)
    assert list(tmp_path.iterdir()) == []
