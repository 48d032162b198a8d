"""Games as PettingZoo environments: PettingZoo's own tests, its classics as a model, pictures and windows."""

import copy
import sys
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium import spaces
from pettingzoo.classic.connect_four import connect_four
from pettingzoo.classic.tictactoe import tictactoe
from pettingzoo.test import api_test, render_test, seed_test

from agents.games import GAMES
from agents.games import make as make_game
from agents.games.line_game import LineGame
from agents.pettingzoo import GameEnv, make, raw_env
from lab.errors import UserError
from tests.agents.playouts import CASES, IDS
from tests.agents.small_games import OPTIONS

every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
every_game = pytest.mark.parametrize("name", list(GAMES))
CLASSICS = {"tic_tac_toe": tictactoe, "connect_four": connect_four}

# What api_test says about every environment with an action mask, PettingZoo's own under other names included.
EXPECTED = (
    "Observation is not a NumPy array",
    "Observation numpy array is all zeros",
    "Action mask numpy array is all zeros",
    "Observation space for each agent probably should be",
)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows show pictures as fast as they come."""

    class Clock:
        def tick(self, fps: int) -> None:
            assert fps > 0

    monkeypatch.setattr("pygame.time.Clock", Clock)


@every_case
def test_pettingzoos_api_test(name: str, options: dict[str, int]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        api_test(make(name, None, **options), num_cycles=60)
    assert [str(w.message) for w in caught if not str(w.message).startswith(EXPECTED)] == []


@every_game
def test_every_game_passes_pettingzoos_api_test(name: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        api_test(make(name, None, **OPTIONS.get(name, {})), num_cycles=30)
    expected = (*EXPECTED, "Observation contains") if make_game(name).number_planes else EXPECTED
    assert [str(w.message) for w in caught if not str(w.message).startswith(expected)] == []


@every_game
def test_pettingzoos_seed_test(name: str) -> None:
    seed_test(lambda: make(name, None, **OPTIONS.get(name, {})), num_cycles=30)


@every_game
def test_pettingzoos_render_test(name: str, no_waiting: None) -> None:
    render_test(lambda **arguments: make(name, **arguments, **OPTIONS.get(name, {})))


@every_game
def test_pictures_of_every_game_show_its_moves(name: str) -> None:
    env = make(name, "rgb_array", **OPTIONS.get(name, {}))
    env.reset()
    pictures = [env.render()]
    for _ in range(3):
        env.step(int(env.observe(env.agent_selection)["action_mask"].argmax()))
        pictures.append(env.render())
    assert all(picture.dtype == np.uint8 and max(picture.shape) <= 1000 for picture in pictures)
    assert len({picture.shape for picture in pictures}) == 1
    assert all((before != after).any() for before, after in pairwise(pictures))


@every_game
def test_every_game_is_in_pettingzoos_registry(name: str) -> None:
    env = pettingzoo.make("aec", f"rivals/{name}-v0", render_mode="ansi")
    env.reset()
    assert isinstance(env.unwrapped, GameEnv)
    assert env.unwrapped.game.name == name
    assert str(env) == f"{name}_v0"


def test_a_game_added_to_the_games_is_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GAMES, "small", lambda: LineGame("small", 2, 2, 2, gravity=False))
    env = make("small")
    env.reset()
    for action in [0, 1]:
        env.step(action)
    assert env.rewards == {"player_0": 0, "player_1": 0}
    env.step(3)
    assert env.rewards == {"player_0": 1, "player_1": -1}


@pytest.mark.parametrize("name", list(CLASSICS))
def test_spaces_are_those_of_pettingzoos_classic(name: str) -> None:
    ours, theirs = make(name), CLASSICS[name].env()
    for agent, model in zip(ours.possible_agents, theirs.possible_agents, strict=True):
        assert ours.observation_space(agent) == theirs.observation_space(model)
        assert ours.action_space(agent) == theirs.action_space(model)


@pytest.mark.parametrize("name", list(CLASSICS))
@pytest.mark.parametrize("careful", [True, False], ids=["legal", "any"])
def test_episodes_are_those_of_pettingzoos_classic(name: str, careful: bool) -> None:
    """Every `last()` and observation through the wrappers, to the last agent; illegal moves included."""
    rng = np.random.default_rng(0)
    ours, theirs = make(name), CLASSICS[name].env()
    index = {agent: i for i, agent in enumerate(theirs.possible_agents)}
    illegal = 0
    for _ in range(40):
        ours.reset()
        theirs.reset()
        while theirs.agents:
            assert ours.agents == [ours.possible_agents[index[agent]] for agent in theirs.agents]
            assert ours.agent_selection == ours.possible_agents[index[theirs.agent_selection]]
            for agent, model in zip(ours.agents, theirs.agents, strict=True):
                a, b = ours.observe(agent), theirs.observe(model)
                assert a["observation"].dtype == b["observation"].dtype == a["action_mask"].dtype == np.int8
                assert np.array_equal(a["observation"], b["observation"])
                assert theirs.terminations[model] or np.array_equal(a["action_mask"], b["action_mask"])
            seen, *rest = ours.last()
            assert rest == list(theirs.last()[1:])
            action = None
            if not theirs.terminations[theirs.agent_selection]:
                likely = seen["action_mask"] + (0 if careful else 0.2)
                action = int(rng.choice(len(likely), p=likely / likely.sum()))
                illegal += not seen["action_mask"][action]
            ours.step(action)
            theirs.step(action)
            assert list(ours.rewards.values()) == list(theirs.rewards.values())
        assert not ours.agents
    assert (illegal == 0) == careful


@every_case
def test_the_agent_that_waits_sees_the_board_from_its_side(name: str, options: dict[str, int]) -> None:
    env = make(name, None, **options)
    env.reset()
    env.step(0)
    waiting, moving = env.observe("player_0"), env.observe("player_1")
    assert waiting["observation"][..., 0].sum() == 1 == moving["observation"][..., 1].sum()
    assert waiting["observation"].sum() == 1 == moving["observation"].sum()
    assert not waiting["action_mask"].any() and moving["action_mask"].any()


def test_options_reach_the_game() -> None:
    env = make("connect_four", rows=4, columns=5, length=3)
    space = env.observation_space("player_0")
    assert isinstance(space, spaces.Dict)
    assert space["observation"].shape == (4, 5, 2)
    assert env.action_space("player_1") == spaces.Discrete(5)


def test_an_illegal_move_is_an_error_without_the_wrappers_and_changes_nothing() -> None:
    env = raw_env("connect_four", rows=1, columns=4)
    env.reset()
    env.step(0)
    before = env.observe("player_0")["observation"]
    for action in (0, -1, 4):
        with pytest.raises(ValueError, match=r"not legal.*\[1, 2, 3\]"):
            env.step(action)
    assert np.array_equal(env.observe("player_0")["observation"], before)


def test_an_environment_can_be_copied_in_the_middle_of_a_game() -> None:
    env = make("connect_four")
    env.reset()
    for action in [0, 1, 0, 1, 0, 1]:
        env.step(action)
    other = copy.deepcopy(env)
    env.step(0)
    assert env.terminations == {"player_0": True, "player_1": True}
    assert other.terminations == {"player_0": False, "player_1": False}
    other.step(2)
    assert other.observe("player_0")["observation"][5, 2, 0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"game_name": "connect_for"}, "connect_four"),
        ({"game_name": "connect_four", "colums": 3}, "columns"),
        ({"game_name": "connect_four", "render_mode": "ascii"}, "human, ansi, rgb_array"),
    ],
)
def test_what_cannot_be_made_says_why(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**arguments)


# --- pictures


def test_ansi_is_the_games_own_picture() -> None:
    env = make("connect_four", render_mode="ansi", rows=2, columns=4)
    env.reset()
    env.step(2)
    env.step(2)
    assert env.render() == " . .(O).\n . . X .\n 1 2 3 4"
    game, state = make_game("connect_four", rows=2, columns=4), env.unwrapped._state
    assert game.render(state) == ". . O .\n. . X .\n1 2 3 4"


@pytest.mark.parametrize("ply", [1, 2], ids=["second to move", "first to move"])
def test_disc_colours_do_not_depend_on_the_player_to_move(ply: int) -> None:
    env = make("connect_four", render_mode="rgb_array")
    env.reset()
    for action in [0, 6, 3, 2][: ply + 2]:  # the last stone has a mark in its middle
        env.step(action)
    picture = env.render()
    assert picture.shape[0] / picture.shape[1] == pytest.approx(6 / 7, rel=0.05)
    red, yellow = colour(picture, 5, 0, (6, 7)), colour(picture, 5, 6, (6, 7))
    assert red[0] > 180 and red[1] < 100 and red[2] < 100
    assert yellow[0] > 200 and yellow[1] > 150 and yellow[2] < 100
    assert min(colour(picture, 0, 0, (6, 7))) > 200, "a hole is light"


def colour(picture: np.ndarray, row: int, column: int, grid: tuple[int, int]) -> list[int]:
    """Colour at the middle of a cell."""
    margin = 12  # at the top and on the left
    cell = (picture.shape[1] - 2 * margin) / grid[1]
    y, x = margin + (row + 0.5) * cell, margin + (column + 0.5) * cell
    return [int(value) for value in picture[int(y), int(x)]]


def test_crosses_cover_the_middle_of_a_cell_and_noughts_do_not() -> None:
    env = make("tic_tac_toe", render_mode="rgb_array")
    env.reset()
    empty = env.render()
    env.step(0)
    env.step(8)
    env.step(1)
    picture = env.render()
    assert colour(picture, 0, 0, (3, 3)) != colour(empty, 0, 0, (3, 3))
    assert colour(picture, 2, 2, (3, 3)) == colour(empty, 2, 2, (3, 3))
    thirds = np.array_split(np.arange(len(picture)), 3)
    changed = (picture != empty).any(2)
    # Without the edges of the thirds, to which the tint of the last move reaches.
    cells = [[bool(changed[np.ix_(r[20:-20], c[20:-20])].any()) for c in thirds] for r in thirds]
    assert cells == [[True, True, False], [False, False, False], [False, False, True]]


@every_case
def test_pictures_have_the_shape_of_the_board(name: str, options: dict[str, int]) -> None:
    env = make(name, "rgb_array", **options)
    env.reset()
    picture = env.render()
    _, rows, columns = env.unwrapped.game.observation_shape
    height, width, _ = picture.shape
    assert picture.dtype == np.uint8 and max(height, width) <= 1000
    assert (height > width) == (rows > columns) and (height < width) == (rows < columns)


# --- windows


def test_a_window_is_opened_by_the_first_picture_and_not_before(
    monkeypatch: pytest.MonkeyPatch, no_waiting: None
) -> None:
    import pygame

    pygame.display.quit()
    env = make("connect_four", render_mode="human")
    assert not pygame.display.get_init()
    env.reset()
    assert pygame.display.get_init()
    env.step(3)
    surface = pygame.display.get_surface()
    assert surface is not None
    screen = pygame.surfarray.array3d(surface).swapaxes(0, 1)
    model = make("connect_four", render_mode="rgb_array")
    model.reset()
    model.step(3)
    assert np.array_equal(screen, model.render())
    env.close()
    assert not pygame.display.get_init()


def test_without_pygame_human_mode_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    env = make("tic_tac_toe", render_mode="human")
    with pytest.raises(UserError, match="pip install pygame-ce"):
        env.reset()
    picture = make("tic_tac_toe", render_mode="rgb_array")
    picture.reset()
    assert picture.render().shape[2] == 3


def test_without_a_screen_human_mode_says_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import pygame

    def fails(*_: Any) -> None:
        raise pygame.error("No available video device")

    monkeypatch.setattr("pygame.display.set_mode", fails)
    env = make("tic_tac_toe", render_mode="human")
    with pytest.raises(UserError, match=r"No available video device.*rgb_array"):
        env.reset()


def test_rendering_without_a_mode_warns_and_gives_nothing() -> None:
    env = make("tic_tac_toe")
    env.reset()
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None
