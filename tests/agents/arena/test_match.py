"""Matches between players of known behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.arena.line import Line
from agents.arena.match import WinDrawLoss, match, play_pairings, round_robin, sequential_match
from agents.arena.openings import openings
from agents.arena.pentanomial import counts_of
from agents.arena.players import Forfeit, Player, RandomPlayer
from agents.arena.sprt import Sprt
from agents.games import Game, make
from agents.games.game import select
from lab.errors import UserError

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
    found = openings(GAME, 200, seed=3)
    state, distinct = found.states, found.distinct
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
    found = openings(game, 100, seed=0)
    state, distinct = found.states, found.distinct
    keys = game.key(state)
    assert distinct == 72 == len(keys[:72].unique())  # 9 cells for the first move, 8 for the second
    assert torch.equal(keys[72:], keys[:28])
    assert (
        round_robin(game, [RandomPlayer(game), Fixed(game, 4, "centre")], openings(game, 100, 0)).distinct_openings
        == 72
    )


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
    result = round_robin(GAME, players, openings(GAME, 200, 0))
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
    ratings = {r.name: r for r in round_robin(GAME, players, openings(GAME, 20, 0)).ratings}
    assert ratings["random"].elo == 0.0
    assert ratings["centre"].elo > 0


def test_progress_counts_every_game_once() -> None:
    ended: list[int] = []
    round_robin(GAME, [RandomPlayer(GAME), Fixed(GAME, 0, "edge")], openings(GAME, 15, 0), progress=ended.append)
    assert sum(ended) == 30 and min(ended) >= 0


@pytest.mark.parametrize("chunk", [1, 7])
def test_a_player_decides_on_chunks_as_on_the_whole(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = match(GAME, RandomPlayer(GAME), Fixed(GAME, 2, "two"), games=20)
    monkeypatch.setattr("agents.arena.play_out.CHUNK", chunk)
    assert match(GAME, RandomPlayer(GAME), Fixed(GAME, 2, "two"), games=20) == whole


def test_a_sequential_match_stops_at_the_first_pair_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    players: list[Player] = [Fixed(GAME, 3, "centre"), RandomPlayer(GAME)]
    starts, test = openings(GAME, 300, seed=0), Sprt(0, 200)
    whole = play_pairings(GAME, players, [(0, 1)], starts)[0].results
    found = sequential_match(GAME, players, starts, test)
    decisions = [test.decide(counts_of(whole[: 2 * pairs])) for pairs in range(1, 301)]
    first = next(number for number, decision in enumerate(decisions, start=1) if decision is not None)
    assert found.pairing.results == whole[: 2 * first] and found.decision == decisions[first - 1] == "H1"
    assert found.llr >= test.upper and found.ratings[1].elo > 0
    # Which games are played beside each other does not matter.
    monkeypatch.setattr("agents.arena.match._GAMES_OF_A_TEST", 6)
    assert sequential_match(GAME, players, starts, test) == found


def test_a_sequential_match_ends_undecided_where_openings_end() -> None:
    players = [RandomPlayer(GAME, 1, "a"), RandomPlayer(GAME, 2, "b")]
    found = sequential_match(GAME, players, openings(GAME, 5, 0), Sprt(0, 5))
    assert found.decision is None and found.pairing.total.games == 10


@dataclass
class Quitter:
    """Plays the first legal move, and gives up the game at its third."""

    fault: bool
    name: str = "quitter"
    finished: list[int] = field(default_factory=list)

    def choose_moves(self, lines: Sequence[Line], game_ids: Sequence[int]) -> list[int | Forfeit]:
        return [
            Forfeit("it is tired", self.fault)
            if len(line.actions) >= 8
            else int(GAME.legal(line.state)[0].nonzero()[0])
            for line in lines
        ]

    def finish(self, game_id: int) -> None:
        self.finished.append(game_id)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_who_gives_up_loses_and_the_match_goes_on(concurrency: int) -> None:
    player = Quitter(fault=True)
    (pairing,) = play_pairings(
        GAME, [player, RandomPlayer(GAME)], [(0, 1)], openings(GAME, 3, seed=0), concurrency=concurrency
    )
    lost = [number for number, game in enumerate(pairing.games) if game.forfeit is not None]
    assert lost and all(pairing.results[number] == -1 for number in lost)
    assert [(fault.player, fault.game, fault.reason) for fault in pairing.faults] == [
        ("quitter", number, "it is tired") for number in lost
    ]
    assert sorted(player.finished) == sorted(set(player.finished)) and len(player.finished) == 6
    for number, game in enumerate(pairing.games):
        assert game.actions[: game.opening_plies] == openings(GAME, 3, seed=0).moves(number // 2)
        state = game.line().state
        assert bool(GAME.done(state)[0]) is (game.forfeit is None)
        assert game.reward == ((-1.0, 1.0) if number % 2 == 0 else (1.0, -1.0)) or game.forfeit is None
    resigning = play_pairings(GAME, [Quitter(fault=False), RandomPlayer(GAME)], [(0, 1)], openings(GAME, 3, seed=0))[0]
    assert resigning == pairing and resigning.faults == []


def test_openings_that_are_not_accepted_are_left_out() -> None:
    def even(states: Any) -> Tensor:
        return GAME.key(states) % 2 == 0

    every, some = openings(GAME, 200, seed=0), openings(GAME, 50, seed=0, accept=even)
    keys = GAME.key(every.states)
    assert torch.equal(GAME.key(some.states), keys[keys % 2 == 0][:50])
    with pytest.raises(UserError, match="none of 72 openings of tic_tac_toe is balanced"):
        openings(make("tic_tac_toe"), 2, seed=0, accept=lambda states: GAME.plies(states) < 0)


def test_an_opening_knows_its_moves() -> None:
    found = openings(GAME, 20, seed=0)
    for number in range(20):
        line = Line(GAME, select(found.starts, torch.tensor([number])), found.moves(number))
        assert torch.equal(line.state.cells[0], found.states.cells[number])
        assert line.names == [str(action + 1) for action in found.moves(number)]
