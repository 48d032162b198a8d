"""Players."""

import torch

from agents.arena.players import RandomPlayer, random_actions
from agents.games import make

CPU = torch.device("cpu")


def test_random_actions_are_legal_and_even() -> None:
    legal = torch.tensor([[True, False, True, False, True]]).expand(30_000, 5)
    action = random_actions(legal, 0, torch.arange(30_000))
    share = torch.bincount(action, minlength=5) / 30_000
    assert torch.allclose(share, torch.tensor([1, 0, 1, 0, 1]) / 3, atol=0.01)


def test_a_row_without_legal_actions_gets_zero() -> None:
    assert random_actions(torch.zeros(3, 4, dtype=torch.bool), 0, torch.arange(3)).tolist() == [0, 0, 0]


def test_random_play_is_a_function_of_seed_game_and_ply() -> None:
    game = make("connect_four")
    state, ids, plies = game.initial(64, CPU), torch.arange(64), torch.zeros(64, dtype=torch.int64)
    player = RandomPlayer(game)
    moves = player.choose(state, ids, plies)
    assert torch.equal(moves, player.choose(state, ids, plies))
    half = type(state)(*(f[32:] for f in state))
    assert torch.equal(moves[32:], player.choose(half, ids[32:], plies[32:]))
    for other in (
        player.choose(state, ids + 1000, plies),
        player.choose(state, ids, plies + 1),
        RandomPlayer(game, seed=1).choose(state, ids, plies),
    ):
        assert not torch.equal(moves, other)
