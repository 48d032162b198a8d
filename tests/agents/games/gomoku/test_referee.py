"""Random games of Gomoku against plain rules that measure all rows of the whole board."""

import numpy as np
import pytest
import torch

from agents.games.gomoku import Gomoku
from tests.agents.games.gomoku.plain_gomoku import PlainGomoku

CPU = torch.device("cpu")


def agree_with_plain_rules(size: int, exact: bool, boards: int, seed: int) -> PlainGomoku:
    """Random games, each position compared."""
    game, plain = Gomoku(size, exact), PlainGomoku(size, exact, boards)
    state, rng = game.initial(boards, CPU), np.random.default_rng(seed)
    for _ in range(size**2 + 1):
        legal, player = plain.legal(), plain.plies % 2
        assert np.array_equal(game.legal(state).numpy(), legal)
        assert np.array_equal(game.plies(state).numpy(), plain.plies)
        assert np.array_equal(game.player(state).numpy(), player)
        assert np.array_equal(game.done(state).numpy(), plain.over)
        assert np.array_equal(game.reward(state).numpy(), plain.reward)
        assert np.array_equal(game.observe(state).numpy(), plain.observation(player))
        for side in (0, 1):
            seen = game.observe(state, torch.full((boards,), side)).numpy()
            assert np.array_equal(seen, plain.observation(np.full(boards, side)))
        if plain.over.all():
            return plain
        actions = (rng.random(legal.shape) * legal).argmax(1)
        state = game.step(state, torch.from_numpy(actions))
        plain.play(actions)
    raise AssertionError("games go on when the board is full")


@pytest.mark.parametrize(("size", "exact", "boards"), [(6, False, 60), (7, True, 60), (15, True, 3)])
def test_a_few_random_games_agree_with_plain_rules(size: int, exact: bool, boards: int) -> None:
    plain = agree_with_plain_rules(size, exact, boards, seed=size)
    assert plain.reward.any()
    assert boards < 50 or not plain.reward.any(1).all()  # some small boards are full without a winner


@pytest.mark.slow
@pytest.mark.parametrize("exact", [False, True])
def test_300_random_games_agree_with_plain_rules(exact: bool) -> None:
    overlines = sum(agree_with_plain_rules(size, exact, 60, 100 + size).overlines for size in (6, 8, 9, 15, 19))
    assert (overlines > 0) == exact


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("size", "boards"), [(5, 1500), (6, 2000), (9, 3000), (15, 3000), (19, 500)])
def test_10_000_random_games_agree_with_plain_rules(size: int, boards: int, exact: bool) -> None:
    for seed in range(0, boards, 500):
        agree_with_plain_rules(size, exact, 500, 1000 * size + seed)
