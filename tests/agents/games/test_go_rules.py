"""Go against the plain rules of `plain_go`, on random games."""

import numpy as np
import pytest
import torch

from agents.games.go import Go
from tests.agents.games.plain_go import PlainGo

CPU = torch.device("cpu")


def compare(game: Go, boards: int, seed: int, *, pass_less: bool = True, observe: bool = True) -> int:
    """Play random games on both; returns the number of points that the ko rule alone forbade.

    pass_less: a pass is played only where nothing else is legal, so that games last until the board is settled.
    """
    rng = np.random.default_rng(seed)
    plain = PlainGo(game.size, game.ko, game.max_plies, boards)
    state = game.initial(boards, CPU)
    banned_points = 0
    while True:
        legal, banned = plain.legal()
        banned_points += int(banned.sum())
        assert np.array_equal(game.legal(state).numpy(), legal)
        assert np.array_equal(state.banned.numpy(), banned)
        assert np.array_equal(game.done(state).numpy(), plain.over)
        assert np.array_equal(game.plies(state).numpy(), plain.plies)
        assert np.array_equal(game.reward(state).numpy(), plain.reward(game.komi))
        assert np.array_equal(state.captures.numpy(), plain.captures)
        stones = state.boards[torch.arange(boards), state.plies % game.positions].numpy()
        assert np.array_equal(stones, plain.boards.reshape(boards, -1))
        for player in (0, 1) if observe else ():
            seen = game.observe(state, torch.full((boards,), player)).numpy()
            assert np.array_equal(seen, plain.observation(game.positions, game.komi, banned, player))
        if plain.over.all():
            return banned_points
        weight = rng.random(legal.shape) * legal
        if pass_less:
            weight[:, -1] *= 1e-9
        actions = weight.argmax(1)
        plain.play(actions)
        state = game.step(state, torch.from_numpy(actions))


@pytest.mark.parametrize(
    ("game", "boards"),
    [
        (Go(2, komi=0.5), 40),
        (Go(3, komi=0.5, positions=3), 30),
        (Go(4, komi=1.0, ko="simple"), 20),
        (Go(5, komi=7.5, positions=1, max_plies=40), 12),
    ],
    ids=["2x2", "3x3", "4x4 simple ko", "5x5"],
)
def test_random_games_agree_with_plain_rules(game: Go, boards: int) -> None:
    assert compare(game, boards, 0) > 0
    compare(game, boards, 1, pass_less=False)
