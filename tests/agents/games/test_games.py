"""Games by name, and the invariants of every game on every option set."""

from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from agents import games
from agents.games import Board
from agents.games import test_game as check_game
from agents.games.line_game import LineGame, LineState
from agents.games.testing import same
from lab.errors import UserError
from tests.agents.games.patrol import Patrol
from tests.agents.playouts import CASES, IDS, playout

every_game = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)


@every_game
def test_every_game_satisfies_the_invariants(name: str, options: dict[str, int]) -> None:
    check_game(games.make(name, **options))


def broken(**methods: Any) -> LineGame:
    """Tic-tac-toe on 3x4 cells with some methods or attributes replaced."""
    game = LineGame("broken", 3, 4, 3, gravity=False)
    vars(game).update({name: value(game) if isinstance(value, Break) else value for name, value in methods.items()})
    return game


class Break:
    """Replaces a method by a function of the game and the method's arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, game: LineGame) -> Callable[..., Any]:
        sound = LineGame("sound", game.rows, game.columns, game.length, game.gravity)
        return lambda *arguments, **named: self.function(sound, *arguments, **named)


def _counting_step(game: LineGame, state: LineState, action: Tensor) -> LineState:
    return game.step(state, action)._replace(plies=state.plies + 1)


def _reading_legal(game: LineGame, state: LineState) -> Tensor:
    return game.legal(state) if bool((state.plies >= 0).all()) else state.cells == 0


def _unsorted(game: LineGame, state: LineState) -> Tensor:
    return game.legal_actions(state).flip(1)


def _one_number(game: LineGame, state: LineState, player: Tensor | None = None) -> Tensor:
    return torch.cat([game.observe(state, player), game.observe(state, player)[:, :1] * 0.3], 1)


def _ignoring(game: LineGame, state: LineState, player: Tensor | None = None) -> Tensor:
    return game.observe(state, None if player is None else 1 - player)


def _moving_owners(game: LineGame, state: LineState, index: int = 0, previous: Any = None) -> Board:
    return replace(
        game.board(state, index),
        owners=[*state.cells[index].view(game.rows, game.columns).tolist()[:-1], [2] * game.columns],
    )


def _rolled(game: LineGame, device: torch.device) -> games.Symmetries:
    return games.Symmetries(*(table.roll(1, 1) for table in game.symmetries(device)))


def _unmapped(game: LineGame, device: torch.device) -> games.Symmetries:
    return game.symmetries(device)._replace(actions=torch.arange(12, device=device).expand(4, -1))


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"max_plies": 4, "step": Break(LineGame.step)}, "lasts longer than max_plies 4"),
        ({"player": Break(lambda game, state: game.player(state).int())}, "`player` returns torch.int32"),
        ({"action_names": ["1"] * 12}, "`action_names` has missing or repeated names"),
        ({"legal": Break(lambda game, state: state.cells == 0)}, "`legal` and `done` contradict"),
        ({"step": Break(_counting_step)}, "`step` with action 0 changes boards that are over"),
        ({"reward": Break(lambda game, state: game.reward(state).abs())}, "not zero-sum"),
        ({"reward": Break(lambda game, state: game.reward(state) * 0)}, "no random game has a winner"),
        ({"player": Break(lambda game, state: 1 - game.player(state))}, "player 0 does not begin"),
        ({"player": Break(lambda game, state: state.plies // 2 % 2)}, "the players do not alternate"),
        ({"plies": Break(lambda game, state: state.plies * 2)}, "`plies` does not count"),
        ({"num_slots": 13}, "`num_slots` is not 1 to `num_actions`"),
        ({"num_slots": 5}, "has 12 legal actions and num_slots is 5"),
        ({"legal_actions": Break(_unsorted)}, "`legal_actions` and `legal` contradict"),
        (
            {"observe": Break(lambda game, state, player=None: game.observe(state, player) * 2)},
            "values other than 0 and 1",
        ),
        (
            {"observe": Break(_one_number), "observation_shape": (3, 3, 4), "number_planes": 1},
            "a plane of `number_planes` is not one finite number",
        ),
        ({"observe": Break(_ignoring)}, "`observe` with the player to move is not `observe`"),
        ({"history": ("cells",)}, "`step` changes an entry of cells that belongs to an earlier position"),
        ({"history": ("plies",)}, "`history` names plies, which is no state field"),
        ({"action_layout": games.ActionLayout(planes=2)}, "`action_layout` describes 24 actions and there are 12"),
        (
            {"action_layout": games.ActionLayout(planes=2, others=4, columns=True)},
            "`action_layout` and `symmetries` contradict",
        ),
        (
            {"from_observation": Break(lambda game, planes: game.from_observation(planes.flip(1)))},
            "`from_observation` rebuilds a state with another `observe`",
        ),
        ({"key": Break(lambda game, state: state.plies)}, "two different observations have the same `key`"),
        ({"key": Break(lambda game, state: game.key(state) + len(state.plies))}, "depends on the other boards"),
        ({"symmetries": Break(_rolled)}, "row 0 of `symmetries.{3}planes` is not the identity"),
        ({"symmetries": Break(_unmapped)}, "a game played through symmetry 1 is not the mapped game"),
        ({"legal": Break(_reading_legal)}, "the rules read values of a tensor or mix devices"),
        (
            {"render": Break(lambda game, state, index, previous: 1 // 0)},
            "the check of text, images and what is on the board raised ZeroDivisionError",
        ),
        ({"render": Break(lambda game, state, index, previous: "")}, "`render` returns no text"),
        ({"image": Break(lambda game, state, index, previous: np.zeros((4, 4)))}, "`image` returns float64 .4, 4."),
        ({"board": Break(_moving_owners)}, "`board` has owners other than 0, 1 and EMPTY"),
        ({"board": Break(lambda game, *state: replace(game.board(*state), row_names="ab"))}, "of different sizes"),
        ({"board": Break(lambda game, *state: replace(game.board(*state), stars={(3, 0)}))}, "marks a cell that is"),
        ({"move_name": Break(lambda game, state, action, index: "1")}, "two legal moves of a position have the same"),
        ({"find_move": Break(lambda game, state, text, index: 0)}, "`find_move` finds 0 for '3', the name of move 2"),
        ({"why_illegal": Break(lambda game, state, text, index: "taken")}, "names no move is taken for one"),
    ],
)
def test_a_broken_game_is_told_what_broke_and_the_fix(methods: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=f"broken: .*{message}"):
        check_game(broken(**methods))


@pytest.mark.slow
def test_a_game_with_slots_history_and_numbers_satisfies_the_invariants() -> None:
    for options in ({}, {"slots": False, "remembers": False}, {"rows": 5, "columns": 4, "memory": 40}):
        check_game(Patrol(**options), boards=48)


def _late(game: Patrol, state: Any, action: Tensor) -> Any:
    after = game.step(state, action)
    return games.where(game.done(state), state, after._replace(seen=after.seen.roll(1, 1)))


def test_a_broken_history_is_told() -> None:
    game, sound = Patrol(), Patrol()
    vars(game)["step"] = lambda state, action: _late(sound, state, action)
    with pytest.raises(AssertionError, match="`step` changes an entry of seen that belongs to an earlier"):
        check_game(game)


@every_game
def test_x_moves_first_in_pictures(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    assert "X" not in game.render(states[0], 0)
    first = game.render(states[1], 0)
    assert (first.count("X"), first.count("O")) == (1, 0)


@every_game
def test_boards_can_be_selected_merged_and_joined(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    a, b = states[0], states[1]
    mask = torch.arange(len(a[0])) % 2 == 0
    merged = games.where(mask, a, b)
    assert same(games.select(merged, mask.nonzero()[:, 0]), games.select(a, mask.nonzero()[:, 0]))
    assert same(games.select(merged, (~mask).nonzero()[:, 0]), games.select(b, (~mask).nonzero()[:, 0]))
    joined = games.concatenate([a, b])
    assert same(games.select(joined, torch.arange(len(mask), 2 * len(mask))), b)
    assert torch.equal(game.key(joined), torch.cat([game.key(a), game.key(b)]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("conect_four", {}, "connect_four"),
        ("goo", {}, "did you mean 'go'"),
        ("connect_four", {"row": 5}, "rows, columns, length"),
        ("connect_four", {"rows": 0}, "at least 1"),
        ("connect_four", {"rows": "5"}, "rows must be int, not '5'"),
        ("connect_four", {"rows": 5.5}, "rows must be int, not 5.5"),
        ("connect_four", {"rows": True}, "rows must be int, not True"),
        ("connect_four", {"rows": None}, "rows must be int, not None"),
        ("tic_tac_toe", {"length": 4}, "length 4"),
        ("tic_tac_toe", {"length": 1}, "at least 2"),
    ],
)
def test_a_game_that_cannot_be_made_says_why(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        games.make(name, **options)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages with games: `blocking`, one whose import fails, and one that is no factory."""
    monkeypatch.setattr("agents.games.registry.ENTRY_POINTS", "rivals.games")
    points = [
        metadata.EntryPoint("blocking", "tests.agents.games.test_games:blocking", "rivals.games"),
        metadata.EntryPoint("absent", "no_such_package:game", "rivals.games"),
        metadata.EntryPoint("number", "tests.agents.games.test_games:NUMBER", "rivals.games"),
    ]

    def entry_points(group: str, name: str | None = None) -> metadata.EntryPoints:
        return metadata.EntryPoints(p for p in points if p.group == group and name in (None, p.name))

    monkeypatch.setattr("agents.games.registry.metadata", SimpleNamespace(entry_points=entry_points))


def blocking(
    size: int = 3, misere: bool = False, komi: float = 7.5, rule: Literal["area", "territory"] = "area"
) -> LineGame:
    """The game of another package."""
    assert isinstance(komi, float)
    return LineGame("blocking", size, size, size, gravity=False)


NUMBER = 7


@pytest.mark.usefixtures("installed")
def test_a_game_of_another_package_is_made_by_its_name() -> None:
    assert games.make("blocking", size=4, misere=True).num_actions == 16
    assert games.make("blocking", size=4, komi=6, rule="territory").num_actions == 16
    assert games.game_names() == [*games.GAMES, "absent", "blocking", "number"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bloking", {}, "unknown game 'bloking'; did you mean 'blocking'"),
        ("blocking", {"misere": 1}, "option misere must be bool, not 1"),
        ("blocking", {"komi": "7.5"}, "option komi must be float, not '7.5'"),
        ("blocking", {"komi": float("nan")}, "option komi must be float, not nan"),
        ("blocking", {"rule": "ing"}, "option rule must be .*area.*territory.*, not 'ing'"),
        ("absent", {}, "'no_such_package:game' cannot be imported .ModuleNotFoundError.*repair or reinstall"),
        ("number", {}, "is not a function or class that makes a game"),
    ],
)
def test_a_game_of_another_package_that_cannot_be_made_says_why(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        games.make(name, **options)
