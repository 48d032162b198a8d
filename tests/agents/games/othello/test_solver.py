"""The endgame solver of Othello against enumeration of everything that can follow."""

import pytest
import torch

from agents.arena.positions import Positions
from agents.games import select
from agents.games.othello import Othello, OthelloState
from agents.games.othello.solver import EndgameSolver
from agents.games.testing import random_playout
from tests.agents.arena.enumeration import move_scores


def agree(size: int, empty: int, games: int, seed: int) -> int:
    """Compares positions of random games with this number of empty cells; returns how many there were."""
    game, solver, count = Othello(size), EndgameSolver(size), 0

    def final_margin(state: OthelloState) -> torch.Tensor:
        return game.margin(state) * (1 - 2 * (state.plies % 2))

    for state in random_playout(game, games, seed).states:
        discs = game.observe(state)[:, :2].sum((1, 2, 3))
        must_pass = state.moves[:, 0] == 0
        rows = ((discs == game.cells - empty) & ~game.done(state) & ~must_pass).nonzero()[:, 0]
        if not len(rows):
            continue
        some = select(state, rows)
        expected = move_scores(game, some, final_margin)
        for (own, other), scores in zip(some.discs.tolist(), expected.tolist(), strict=True):
            wanted = {action: score for action, score in enumerate(scores) if score != Positions.ILLEGAL}
            assert solver.scores(own, other) == wanted
            count += 1
    return count


def test_margins_are_those_of_enumeration() -> None:
    assert agree(4, 7, 24, 0) > 10
    assert agree(6, 6, 24, 1) > 10


@pytest.mark.slow
@pytest.mark.parametrize("empty", [8, 9, 10])
def test_margins_of_earlier_positions_are_those_of_enumeration(empty: int) -> None:
    assert agree(6, empty, 12, 2) > 5
