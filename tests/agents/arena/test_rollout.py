"""Rollout search on positions with known answers."""

import pytest
import torch

from agents.arena import rollout
from agents.arena.match import match
from agents.arena.players import RandomPlayer
from agents.arena.rollout import RolloutPlayer
from agents.games import make
from agents.search.memory import tree_bytes
from tests.agents.small_games import every_small_game, small

CPU = torch.device("cpu")
GAME = make("connect_four")


def after(columns: str, batch: int = 1) -> object:
    state = GAME.initial(batch, CPU)
    for column in columns:
        state = GAME.step(state, torch.full((batch,), int(column) - 1))
    return state


def numbers(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(batch), torch.zeros(batch, dtype=torch.int64)


def test_it_takes_a_win_and_stops_one() -> None:
    player = RolloutPlayer(GAME, 100)
    win = player.choose(after("112233", 5), *numbers(5))
    assert win.tolist() == [3] * 5
    block = player.choose(after("17273", 5), *numbers(5))
    assert block.tolist() == [3] * 5


def test_every_simulation_is_counted_and_stays_legal() -> None:
    stats = RolloutPlayer(GAME, 40).search(after("111111", 8), *numbers(8)).root_stats()
    assert stats.visits.sum(1).tolist() == [40.0] * 8
    assert (stats.visits[:, 0] == 0).all() and (stats.visits[:, 1:] > 0).all()


def test_a_leaf_is_worth_the_result_of_one_random_game() -> None:
    game = make("tic_tac_toe")
    # X at 1, 2; O at 4, 5; X to move: the simulation that plays 3 wins at once, the others may win or lose.
    state = game.initial(64, CPU)
    for cell in (0, 3, 1, 4):
        state = game.step(state, torch.full((64,), cell))
    stats = RolloutPlayer(game, 5).search(state, *numbers(64)).root_stats()
    assert (stats.visits == torch.tensor([0, 0, 1, 0, 0, 1, 1, 1, 1])).all()
    assert (stats.value_sum[:, 2] == 1.0).all()
    assert set(stats.value_sum[:, 6:].flatten().tolist()) == {-1.0, 0.0, 1.0}


def test_a_move_depends_on_its_own_board_and_numbers_alone() -> None:
    player = RolloutPlayer(GAME, 30)
    ids, plies = numbers(16)
    state = GAME.initial(16, CPU)
    together = player.search(state, ids, plies).root_stats()
    part = type(state)(*(f[5:9] for f in state))
    alone = player.search(part, ids[5:9], plies[5:9]).root_stats()
    assert torch.equal(together.visits[5:9], alone.visits)
    assert torch.equal(together.value_sum[5:9], alone.value_sum)
    assert not torch.equal(together.value_sum[0], together.value_sum[1])


def test_seeds_and_plies_change_the_random_games() -> None:
    state, (ids, plies) = GAME.initial(4, CPU), numbers(4)
    base = RolloutPlayer(GAME, 20).search(state, ids, plies).value_sum
    assert not torch.equal(base, RolloutPlayer(GAME, 20, seed=1).search(state, ids, plies).value_sum)
    assert not torch.equal(base, RolloutPlayer(GAME, 20).search(state, ids, plies + 1).value_sum)


def test_it_beats_random_play() -> None:
    game = make("tic_tac_toe")
    pairing = match(game, RolloutPlayer(game, 20), RandomPlayer(game), games=60)
    assert pairing.total.points >= 46


def test_boards_searched_in_parts_get_the_same_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    player, state = RolloutPlayer(GAME, 25), GAME.initial(9, CPU)
    together = player.choose(state, *numbers(9))
    monkeypatch.setattr(rollout, "_BYTES", tree_bytes(GAME, 2, 25))
    assert torch.equal(player.choose(state, *numbers(9)), together)


@every_small_game
def test_it_plays_every_game(name: str) -> None:
    game = small(name)
    player, state, ids = RolloutPlayer(game, 6), game.initial(3, CPU), torch.arange(3)
    for ply in range(6):
        action = player.choose(state, ids, torch.full((3,), ply))
        assert (game.legal(state).gather(1, action[:, None])[:, 0] | game.done(state)).all()
        state = game.step(state, action)
    assert (game.plies(state) >= 5).all()
