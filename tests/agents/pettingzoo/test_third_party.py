"""Environments that this project has no part in, where their packages are installed."""

from typing import Any

import pytest
import torch

from agents.games import make
from agents.games.checks import positions, rules
from agents.games.testing import random_playout
from agents.pettingzoo.game import PettingZooGame
from lab.errors import UserError
from tests.agents.small_alphazero import CPU, play_games, selfplay
from tests.same_run import assert_same_bits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

INVARIANTS = (rules.shapes, rules.legality, rules.finished_boards, rules.turns, positions.codes)


def holds_the_invariants(boards: int, *more: Any, **options: Any) -> PettingZooGame:
    game = make("pettingzoo", processes=0, **options)
    assert isinstance(game, PettingZooGame)
    playout = random_playout(game, boards)
    for check in (*INVARIANTS, *more):
        check(playout)
    return game


def test_gobblet() -> None:
    pytest.importorskip("gobblet_rl")
    game = holds_the_invariants(2, positions.keys, env="gobblet_rl.gobblet_v1", max_plies=20)
    assert (game.rules.profile.way, game.observation_shape, game.num_actions) == ("attributes", (13, 3, 3), 54)


def test_chess() -> None:
    """Copies of a board with its stack of moves; a search goes on after the moves, so that repetition is seen."""
    pytest.importorskip("chess")
    game = holds_the_invariants(1, positions.keys, env="pettingzoo.classic:chess_v6", max_plies=16)
    assert (game.rules.profile.way, game.num_slots, game.observation_shape) == ("attributes", 256, (111, 8, 8))
    ours = make("chess")
    theirs, own = game.initial(1, CPU), ours.initial(1, CPU)
    assert int(game.legal(theirs).sum()) == int(ours.legal(own).sum()) == 20


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("tic_tac_toe", {}, (3, 3, 3)),
        ("connect_four", {}, (3, 6, 7)),
        ("hex", {"board_size": 3}, (9, 3, 3)),
        ("breakthrough(rows=5,columns=4)", {}, (3, 5, 4)),
    ],
)
def test_openspiel_through_shimmy(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    """When a game is over Shimmy shows the position before the last move, whose key is another one."""
    pytest.importorskip("shimmy")
    pytest.importorskip("pyspiel")
    game = holds_the_invariants(4, env=f"openspiel:{name}", **options)
    assert (game.rules.profile.way, game.observation_shape) == ("attributes", shape)
    assert game.render(game.initial(1, CPU)).strip()


@pytest.mark.parametrize("name", ["kuhn_poker", "matrix_rps", "phantom_ttt", "backgammon"])
def test_what_openspiel_says_is_no_such_game_is_refused(name: str) -> None:
    pytest.importorskip("shimmy")
    pytest.importorskip("pyspiel")
    with pytest.raises(UserError, match=r"has simultaneous moves|has chance|has hidden information"):
        make("pettingzoo", env=f"openspiel:{name}")


def test_tic_tac_toe_of_openspiel_is_played_as_on_tensors() -> None:
    pytest.importorskip("shimmy")
    pytest.importorskip("pyspiel")
    ours, theirs = make("tic_tac_toe"), make("pettingzoo", env="openspiel:tic_tac_toe", processes=0)
    _, states, actions = random_playout(ours, 16)
    state = theirs.initial(16, CPU)
    for action, expected in zip(actions, states[1:], strict=True):
        state = theirs.step(state, action)
        for function in ("legal", "player", "done", "reward"):
            assert torch.equal(getattr(theirs, function)(state), getattr(ours, function)(expected)), function


def test_copies_and_replays_of_a_classic_give_the_same_games(monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.environments.turns.cloning import WAYS

    options = {"env": "pettingzoo.classic:tictactoe_v3", "processes": 0}
    expected = play_games(selfplay(make("pettingzoo", **options), boards=4), 9)
    monkeypatch.delitem(WAYS, "attributes")
    replayed = make("pettingzoo", **options, seed=5)
    assert isinstance(replayed, PettingZooGame) and replayed.rules.profile.way == "replay"
    assert_same_bits(play_games(selfplay(replayed, boards=4), 9), expected)
