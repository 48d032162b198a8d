"""The exact player against every opponent."""

import pytest
import torch

from agents.arena.match import match
from agents.arena.minimax_player import MinimaxPlayer
from agents.arena.openings import openings
from agents.arena.players import RandomPlayer
from agents.games import make
from agents.games.moves import state_after
from lab.errors import UserError

CPU = torch.device("cpu")
GAME = make("tic_tac_toe")


def test_it_plays_a_best_move_and_not_always_the_same() -> None:
    player = MinimaxPlayer(GAME)
    # X threatens both rows: 3 wins at once; of the longer wins none is played.
    state = state_after(GAME, "14253", CPU)
    assert bool(GAME.done(state)[0])
    ids = torch.arange(50)
    won = state_after(GAME, "1425", CPU)
    boards = type(won)(*(field.repeat(50, *[1] * (field.dim() - 1)) for field in won))
    assert set(player.choose(boards, ids, torch.zeros_like(ids)).tolist()) == {2}
    first = GAME.initial(50, CPU)
    assert len(set(player.choose(first, ids, torch.zeros_like(ids)).tolist())) > 3


def test_it_never_loses_from_openings_that_are_even_and_wins_against_random_moves() -> None:
    player = MinimaxPlayer(GAME)
    starts = openings(GAME, 72, seed=0)
    pairing = match(GAME, player, RandomPlayer(GAME), games=144)
    itself = match(GAME, player, MinimaxPlayer(GAME, seed=1, name="other"), games=144)
    assert pairing.total.points > 110 and starts.distinct == 72
    # Of two exact players the opening alone decides: each has the same with the same colour.
    assert all(a == -b for a, b in zip(itself.results[::2], itself.results[1::2], strict=True))
    # From an opening that it does not lose against itself, it does not lose against anybody.
    assert all(result >= even for result, even in zip(pairing.results, itself.results, strict=True))


def test_games_of_other_lengths_are_solved_as_well() -> None:
    game = make("hex", size=3, swap=False)
    assert match(game, MinimaxPlayer(game), RandomPlayer(game), games=40).total.points > 25


def test_a_large_game_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.arena.minimax_player.MAX_POSITIONS", 1000)
    with pytest.raises(UserError, match="too many to solve"):
        MinimaxPlayer(make("connect_four"))
