"""Forced mates: the search of the tests on known positions, and the shipped positions, solved anew."""

import pytest
import torch

from agents.arena.positions import Positions
from agents.arena.shipped import TEST, VALIDATION, shipped
from agents.games.chess import chess
from tests.agents.games.chess.mates import mates_in_one, mates_in_two

CPU = torch.device("cpu")
LADDER = "7k/8/8/8/8/8/R7/1R4K1 w - - 0 1"
SMOTHERED = "6rk/6pp/8/6N1/8/8/8/6K1 w - - 0 1"
TWO = "7k/8/5K2/8/8/8/8/R7 w - - 0 1"


def names(fen: str, moves: int) -> set[str]:
    game = chess()
    state = game.from_fen([fen], CPU)
    _, actions = (mates_in_one, mates_in_two)[moves - 1](state.position)
    return {game.san(state, action) for action in actions.tolist()}


def test_mates_of_known_positions() -> None:
    assert names(SMOTHERED, 1) == {"Nf7#"}
    assert names(LADDER, 1) == set()
    assert "Ra7" in names(LADDER, 2)
    assert names(TWO, 2) == {"Kf7", "Kg6"}


@pytest.mark.slow
@pytest.mark.parametrize("part", [VALIDATION, TEST])
def test_the_shipped_mates_are_all_solving_moves_and_no_other(part: str) -> None:
    game = chess()
    positions = shipped(game, part)
    one = torch.tensor([name == "mate_in_one" for name in positions.sets])
    legal = game.legal(positions.states)
    for moves, rows in ((1, one.nonzero()[:, 0]), (2, (~one).nonzero()[:, 0])):
        some = positions.take(rows)
        solving = torch.zeros_like(legal[rows])
        row, action = (mates_in_one, mates_in_two)[moves - 1](some.states.position)
        solving[row, action] = True
        assert torch.equal(solving, some.scores == 1)
        assert torch.equal(some.scores == Positions.ILLEGAL, ~legal[rows])
        if moves == 2:
            assert not len(mates_in_one(some.states.position)[0])
