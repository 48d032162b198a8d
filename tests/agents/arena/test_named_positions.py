"""Positions files of any game: positions as moves or in a notation of the game, scores by the names of moves."""

from pathlib import Path
from typing import Any

import pytest
import torch

from agents.arena.position_evaluation import evaluate_moves
from agents.arena.positions import Positions, read
from agents.arena.shipped import SETS, TEST, VALIDATION, has_shipped, shipped, shipped_parts
from agents.games import make, select
from agents.games.hex.solver import HexSolver
from lab.errors import UserError
from tests.agents.arena import make_positions

HEADER = "position,scores\n"
MATE = "7k/8/5K2/8/8/8/8/6Q1 w - - 0 1"


def write(folder: Path, text: str) -> Path:
    path = folder / "positions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_moves_and_scores_by_name(tmp_path: Path) -> None:
    game = make("tic_tac_toe")
    positions = read(write(tmp_path, "set,position,scores\na,1 2 3,5=-1 *=2\nb,,5=1 *=0\n"), game)
    illegal = Positions.ILLEGAL
    assert positions.scores.tolist() == [[illegal, illegal, illegal, 2, -1, 2, 2, 2, 2], [0, 0, 0, 0, 1, 0, 0, 0, 0]]
    assert game.plies(positions.states).tolist() == [3, 0]
    assert list(positions.sets) == ["a", "b"]


def test_positions_of_chess_are_fens_and_moves_are_uci_or_san(tmp_path: Path) -> None:
    game = make("chess")
    positions = read(write(tmp_path, HEADER + f"{MATE},g1g7=1 *=0\n{MATE},Qg7=1 *=0\n"), game)
    assert torch.equal(positions.scores[0], positions.scores[1])
    action = game.find_move(positions.states, "g1g7")
    assert evaluate_moves(positions, torch.tensor([action, action])).optimal_outcome.overall == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "1 1,5=1 *=0", "line 2: move 2"),
        (HEADER + "1 2,2=1 *=0", "line 2: '2' has a score and is no legal move"),
        (HEADER + "1 2,3=1", "line 2: the legal move 4 has no score"),
        (HEADER + "1 2,3=1.5 *=0", "line 2: '3=1.5' is not move=score"),
        (HEADER + "1 4 2 5 3,6=1 *=0", "line 2: the game is over in this position"),
        (HEADER, "has a header and no positions"),
        ("sets," + HEADER + "a,1,*=0", "the header must be position,scores"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(write(tmp_path, text), make("tic_tac_toe"))


def test_a_file_of_connect_four_is_refused_for_another_game(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="are for Connect Four and the run plays chess"):
        read(write(tmp_path, "moves,c1,c2\n1,1,1\n"), make("chess"))


def test_parts_of_the_shipped_positions() -> None:
    assert shipped_parts(make("connect_four")) == [VALIDATION]
    assert shipped_parts(make("chess")) == [VALIDATION, TEST]
    assert shipped_parts(make("connect_four", rows=5)) == []
    assert not has_shipped(make("tic_tac_toe"))


@pytest.mark.slow
def test_the_parts_of_chess_have_nothing_in_common() -> None:
    game = make("chess")
    validation, test = (shipped(game, part) for part in (VALIDATION, TEST))
    for positions in (validation, test):
        assert [list(positions.sets).count(name) for name in SETS] == [250, 250]
        assert not game.done(positions.states).any()
    assert len(test.without(validation)) == len(test)


SOLVED: list[tuple[str, dict[str, Any], int]] = [
    ("othello", {"size": 6}, 506),
    ("hex", {"size": 5, "swap": False}, 1001),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "count"), SOLVED)
def test_the_parts_of_solved_positions_have_nothing_in_common(name: str, options: dict[str, Any], count: int) -> None:
    game = make(name, **options)
    assert shipped_parts(game) == [VALIDATION, TEST]
    validation, test = (shipped(game, part) for part in (VALIDATION, TEST))
    assert len(validation) == len(test) == len(test.without(validation)) == count


@pytest.mark.slow
def test_shipped_scores_are_those_of_the_solvers() -> None:
    othello = shipped(make("othello", size=6), TEST)
    late = (make_positions.empty_cells(othello.states) <= 6).nonzero()[:5, 0]
    assert torch.equal(make_positions.othello_scores(select(othello.states, late)), othello.scores[late])
    hex_5x5 = shipped(make("hex", size=5, swap=False), TEST)
    late = (hex_5x5.states.plies >= 15).nonzero()[:5, 0]
    expected = make_positions.hex_scores(HexSolver(5), select(hex_5x5.states, late))
    assert len(late) == 5 and torch.equal(expected, hex_5x5.scores[late])
