"""Matches between players of known behaviour."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.arena.match import WinDrawLoss, match, openings, play_pairings, round_robin
from agents.arena.players import Player, RandomPlayer
from agents.games import Game, make

CPU = torch.device("cpu")
GAME = make("connect_four")


@dataclass(frozen=True)
class Fixed:
    """Plays the legal action nearest to a favourite."""

    game: Game
    favourite: int
    name: str

    def choose(self, state: Any, game_ids: Tensor, plies: Tensor) -> Tensor:
        far = (torch.arange(self.game.num_actions) - self.favourite).abs()
        return torch.where(self.game.legal(state), far, 10**6).argmin(1)


def test_openings_are_random_reproducible_and_running() -> None:
    state, distinct, *_ = openings(GAME, 200, seed=3)
    assert (GAME.plies(state) == 4).all() and not GAME.done(state).any()
    assert len(GAME.key(state).unique()) == distinct == 200
    assert torch.equal(state.cells, openings(GAME, 200, seed=3).states.cells)
    assert not torch.equal(state.cells, openings(GAME, 200, seed=4).states.cells)


def test_an_opening_depends_on_its_number_and_not_on_how_many_there_are() -> None:
    # More than the first round draws, and more than there are.
    many = GAME.key(openings(GAME, 3000, seed=3).states)
    for count in (10, 900):
        assert torch.equal(many[:count], GAME.key(openings(GAME, count, seed=3).states))


def test_openings_repeat_in_order_where_the_game_has_no_more() -> None:
    game = make("tic_tac_toe")
    state, distinct, *_ = openings(game, 100, seed=0)
    keys = game.key(state)
    assert distinct == 72 == len(keys[:72].unique())  # 9 cells for the first move, 8 for the second
    assert torch.equal(keys[72:], keys[:28])
    assert round_robin(game, [RandomPlayer(game), Fixed(game, 4, "centre")], games=199).distinct_openings == 72


def test_an_opening_stops_before_it_would_end_the_game() -> None:
    game = make("connect_four", rows=6, columns=9, length=2)
    state = openings(game, 50, seed=0).states
    assert not game.done(state).any()
    assert game.plies(state).min() < 6 == game.plies(state).max()


def test_both_colours_play_each_opening_and_results_are_the_players() -> None:
    # On three cells with two in a row, who moves first wins four of the six openings: those without O in the middle.
    game = make("connect_four", rows=1, columns=3, length=2)
    pairing = match(game, Fixed(game, 1, "a"), Fixed(game, 1, "b"), games=12)
    assert pairing.first == WinDrawLoss(4, 2, 0) and pairing.second == WinDrawLoss(0, 2, 4)
    assert pairing.results[1::2] == [-result for result in pairing.results[::2]]


def test_an_odd_number_of_games_is_made_even() -> None:
    assert match(GAME, RandomPlayer(GAME), Fixed(GAME, 3, "centre"), games=7).total.games == 8


def test_a_player_that_is_better_scores_more() -> None:
    pairing = match(GAME, Fixed(GAME, 3, "centre"), RandomPlayer(GAME), games=200)
    assert pairing.total.points > 110


def test_random_players_are_even() -> None:
    players = [RandomPlayer(GAME, seed=1, name="a"), RandomPlayer(GAME, seed=2, name="b")]
    result = round_robin(GAME, players, games=400)
    rating = result.ratings[1]
    assert rating.low < 0 < rating.high


def test_games_do_not_depend_on_how_many_are_played_beside_them() -> None:
    players = [RandomPlayer(GAME, seed=s, name=str(s)) for s in range(3)]
    many = play_pairings(GAME, players, [(0, 1), (0, 2), (1, 2)], openings(GAME, 30, seed=0))
    few = play_pairings(GAME, players, [(0, 2)], openings(GAME, 10, seed=0))
    assert few[0].results == many[1].results[:20]
    assert many[0].results != many[1].results
    assert many == play_pairings(GAME, players, [(0, 1), (0, 2), (1, 2)], openings(GAME, 30, seed=0))
    assert many != play_pairings(GAME, players, [(0, 1), (0, 2), (1, 2)], openings(GAME, 30, seed=1))


def test_the_random_player_anchors_the_ratings() -> None:
    players: list[Player] = [Fixed(GAME, 3, "centre"), RandomPlayer(GAME), Fixed(GAME, 0, "edge")]
    ratings = {r.name: r for r in round_robin(GAME, players, games=40).ratings}
    assert ratings["random"].elo == 0.0
    assert ratings["centre"].elo > 0


def test_progress_counts_every_game_once() -> None:
    ended: list[int] = []
    round_robin(GAME, [RandomPlayer(GAME), Fixed(GAME, 0, "edge")], games=30, progress=ended.append)
    assert sum(ended) == 30 and min(ended) >= 0


@pytest.mark.parametrize("chunk", [1, 7])
def test_a_player_decides_on_chunks_as_on_the_whole(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = match(GAME, RandomPlayer(GAME), Fixed(GAME, 2, "two"), games=20)
    monkeypatch.setattr("agents.arena.match.CHUNK", chunk)
    assert match(GAME, RandomPlayer(GAME), Fixed(GAME, 2, "two"), games=20) == whole
