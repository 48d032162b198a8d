"""`lab predict` of an AlphaZero run: policy, value and best move of a position of any game."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.alphazero.agent import Agent, make_agent, make_network, predict
from agents.cli import predict as verb
from agents.games import registry
from agents.games.line_game import LineGame
from lab.cli.main import main
from lab.errors import UserError
from tests.agents.small_alphazero import DEVICE, config


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Agent]:
    """Runs "four", "three" and "wide" (12 columns, so that a name can have two characters), with new networks."""
    monkeypatch.setitem(registry.GAMES, "wide", lambda: LineGame("wide", 2, 12, 3, gravity=True))
    found = {}
    for run, game in (("four", "connect_four"), ("three", "tic_tac_toe"), ("wide", "wide")):
        torch.manual_seed(0)
        settings = config(game={"name": game})
        found[run] = make_agent(run, settings, make_network(settings, settings.game.make()), DEVICE)
        (tmp_path / run).mkdir()
        (tmp_path / run / "config.yaml").write_text("kind: alphazero\n", encoding="utf-8")
    monkeypatch.setattr(verb, "load_agent", lambda path, device, which: found[path.name])
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    return found


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["predict", *arguments, "--json"]) == 0
    record: dict[str, Any] = json.loads(capsys.readouterr().out)
    return record


def test_the_record_is_the_analysis_of_the_position(
    agents: dict[str, Agent], capsys: pytest.CaptureFixture[str]
) -> None:
    record = answer(capsys, "four", "443", "--simulations", "8")
    expected = agents["four"].think("443", simulations=8)
    assert record["moves"] == ["4", "4", "3"] and record["player"] == 1 and record["game"] == "connect_four"
    assert record["best_move"] == expected.best_move == next(iter(record["policy"]))
    assert record["value"] == pytest.approx(expected.value) and record["simulations"] == 8
    assert [record["policy"][name] for name in "1234567"] == pytest.approx(expected.policy.tolist())
    assert [record["visits"][name] for name in "1234567"] == expected.visits.tolist()
    assert sum(record["policy"].values()) == pytest.approx(1, abs=1e-5)
    assert record["principal_variation"] == list(expected.principal_variation)


def test_only_legal_moves_are_listed_and_the_network_alone_has_no_q(
    agents: dict[str, Agent], capsys: pytest.CaptureFixture[str]
) -> None:
    record = answer(capsys, "four", "444444", "--simulations", "0")
    assert sorted(record["policy"]) == sorted(record["q"]) == list("123567")
    assert set(record["q"].values()) == {None} and set(record["visits"].values()) == {0}
    assert np.isfinite(record["value"]) and -1 <= record["value"] <= 1


def test_by_default_the_search_is_the_run_s(agents: dict[str, Agent], capsys: pytest.CaptureFixture[str]) -> None:
    record = answer(capsys, "three", "51")
    assert record["simulations"] == 4 == sum(record["visits"].values()) and record["player"] == 0


@pytest.mark.parametrize("moves", ["10 10 12", "10,10,12"])
def test_longer_names_of_another_game_are_separated(
    agents: dict[str, Agent], capsys: pytest.CaptureFixture[str], moves: str
) -> None:
    record = answer(capsys, "wide", moves, "--simulations", "0")
    assert record["moves"] == ["10", "10", "12"] and "10" not in record["policy"]  # that column is full


def test_the_terminal_shows_board_value_best_move_and_policy(
    agents: dict[str, Agent], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "three", "51"]) == 0
    said = capsys.readouterr().out
    best = agents["three"].think("51").best_move
    assert "first player to move, 4 simulations: value " in said and f"best move {best}" in said
    assert "policy" in said and "visits" in said and "─────" in said
    assert main(["predict", "three", "", "--simulations", "0"]) == 0
    assert "visits" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("moves", "complaint"),
    [
        ("5X", "move 2 is 'X', which is no move of tic_tac_toe"),
        ("55", "move 2, 5, is illegal"),
        ("14253", "the game is over"),
        ("142536", "move 6, 6, is illegal in tic_tac_toe: the game is over"),
        ("[bold]", "no move of tic_tac_toe"),
        ("\x1b[31m", "no move of tic_tac_toe"),
        ("9" * 100_000, "illegal"),
        ("½", "no move"),
    ],
)
def test_an_impossible_position_is_one_line(
    agents: dict[str, Agent], capsys: pytest.CaptureFixture[str], moves: str, complaint: str
) -> None:
    assert main(["predict", "three", moves]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1 and len(said) < 300 and "\x1b" not in said


@pytest.mark.parametrize("count", ["-1", "1000000000", "x"])
def test_simulations_have_limits(agents: dict[str, Agent], capsys: pytest.CaptureFixture[str], count: str) -> None:
    assert main(["predict", "three", "51", "--simulations", count]) == 2


@pytest.mark.parametrize("simulations", [-1, 100_001, 2**64, 1.5, True, "8", None])
def test_a_caller_s_simulations_have_the_same_limits(agents: dict[str, Agent], simulations: Any) -> None:
    if simulations is None:  # the run's own
        assert agents["three"].think("51").visits.sum() == 4
        return
    with pytest.raises(UserError, match="whole number from 0 to 100,000"):
        agents["three"].think("51", simulations=simulations)


@pytest.mark.parametrize("position", [51, None, 5.1, {"5": 1}])
def test_a_position_of_another_type_is_refused(agents: dict[str, Agent], position: Any) -> None:
    with pytest.raises(UserError, match="moves are a text"):
        agents["three"].think(position)
    with pytest.raises(UserError, match="positions are a text"):
        predict(Path("three"), DEVICE, position)
