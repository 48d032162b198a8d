"""Environments that break one rule each are refused by name; of those that pass, a true way to copy is found."""

import subprocess
import sys
from multiprocessing.reduction import ForkingPickler

import pytest

from agents.environments.turns.cloning import WAYS
from agents.environments.turns.copies import REPLAY
from agents.environments.turns.fidelity import check
from agents.environments.turns.make import EnvironmentName
from lab.errors import UserError
from tests.agents.pettingzoo import nim

REFUSED = {
    nim.HiddenDice: "has chance, or its reset does not begin a new game: with the same seed the observation",
    nim.SeededDice: "has chance: with another seed the observation",
    nim.StaleReset: "has chance, or its reset does not begin a new game: with the same seed the observation of",
    nim.Hidden: "has hidden information: different moves of player_0 look the same to player_1",
    nim.Simultaneous: "has simultaneous moves",
    nim.Three: "has 3 agents",
    nim.Twice: "player_1 moves twice in a row after the moves 2 1",
    nim.BothWin: r"is not zero-sum: a game ended with the rewards \[1.0, 1.0\]",
    nim.NoMask: "gives no action mask",
    nim.EndsForOne: "ends for one agent alone",
    nim.Raises: "failed in step with the legal action .: RuntimeError: a stone is broken",
}


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_what_is_no_game_to_search_is_refused_in_one_line(kind: type[nim.Nim]) -> None:
    with pytest.raises(UserError, match=REFUSED[kind]) as raised:
        check(kind)
    assert str(raised.value).startswith("environment nim_v0") and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "way", "untrue"),
    [
        (nim.Nim, "attributes", ""),
        (nim.Offers, "clone", ""),
        (nim.OneModule, REPLAY, "by attributes playing on a copy changes the original"),
        (nim.LosesItsWay, REPLAY, "by deepcopy a copy differs: the observation of player_0 differs"),
    ],
)
def test_the_first_true_way_to_copy_is_taken(
    kind: type[nim.Nim], way: str, untrue: str, caplog: pytest.LogCaptureFixture
) -> None:
    profile, _ = check(kind)
    assert profile.way == way
    assert untrue in "; ".join(profile.untrue)
    assert ("would make it fast" in caplog.text) == (way == REPLAY)


@pytest.mark.parametrize(
    "name",
    [
        "pettingzoo.classic:tictactoe_v3",
        pytest.param("pettingzoo.classic.connect_four_v3", marks=pytest.mark.slow),
    ],
)
def test_deepcopy_of_the_classics_is_found_to_be_a_new_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(EnvironmentName(name).maker())[0].way == "attributes"
    monkeypatch.delitem(WAYS, "attributes")
    profile, _ = check(EnvironmentName(name).maker())
    assert profile.way == REPLAY and profile.untrue[0].startswith("by deepcopy")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os.path", "os.path is not a module of pettingzoo, "),
        ("connect_four", "unknown turn-based environment 'connect_four': name a module such as"),
        ("pettingzoo.classic.conect_four_v3", "did you mean 'pettingzoo.classic.connect_four_v3'"),
        ("pettingzoo.classic:rps_v2", "has simultaneous moves"),
        ("pettingzoo.utils", "has no env"),
    ],
)
def test_a_name_that_is_no_game_is_one_line(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        check(EnvironmentName(name).maker())
    assert "\n" not in str(raised.value)


def test_an_argument_that_an_environment_does_not_have_is_one_line() -> None:
    with pytest.raises(UserError, match=r"cannot be made: TypeError: .*rows"):
        check(EnvironmentName("pettingzoo.classic.connect_four_v3", (("rows", 5),)).maker())


def test_a_maker_can_be_sent_to_another_process() -> None:
    maker = EnvironmentName("pettingzoo.classic.connect_four_v3").maker()
    assert ForkingPickler.loads(bytes(ForkingPickler.dumps(maker)))().metadata["name"] == "connect_four_v3"


@pytest.mark.slow
def test_importing_the_registry_of_games_does_not_need_pettingzoo() -> None:
    code = "import agents.games, sys; assert 'pettingzoo' not in sys.modules and 'agents.pettingzoo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
