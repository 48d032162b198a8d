"""Matches inside an environment: agents with rules of their own, and policies of PettingZoo."""

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agents.alphazero.agent import Agent, make_agent, make_network
from agents.arena.match import match
from agents.arena.players import AgentPlayer, RandomPlayer
from agents.cli import referee as cli_referee
from agents.games import Game, make
from agents.games.game import concatenate
from agents.pettingzoo.game import PettingZooGame
from agents.pettingzoo.policy import Policy
from agents.pettingzoo.seats import SeatedAgent, SeatedPolicy
from lab.cli.main import main
from lab.errors import UserError
from tests.agents.small_alphazero import DEVICE, config, preset


@pytest.fixture(scope="module")
def environment() -> PettingZooGame:
    return PettingZooGame("pettingzoo.classic.connect_four_v3", max_plies=42, processes=0)


def agent(name: str, game: Game) -> Agent:
    settings = config(game={"name": name, "options": dict(game.options)}, selfplay={"opening_plies": 0})
    torch.manual_seed(0)
    return make_agent("new", settings, make_network(settings, game), DEVICE)


def first_legal(seen: Mapping[str, NDArray[Any]]) -> int:
    return int(np.flatnonzero(seen["action_mask"])[0])


@pytest.mark.slow
def test_an_agent_of_tensor_rules_plays_in_the_environment_as_on_its_own_board(environment: PettingZooGame) -> None:
    game = make("connect_four")
    player = agent("connect_four", game)
    expected = match(game, AgentPlayer(player, 2), RandomPlayer(game), games=4)
    seated = match(environment, SeatedAgent(player, 2, environment), RandomPlayer(environment), games=4)
    assert seated.results == expected.results


def test_boards_of_different_lengths_are_replayed_to_their_own_positions(environment: PettingZooGame) -> None:
    """The first column stays open on the board that is not played on."""
    start = environment.initial(1, torch.device("cpu"))
    state = start
    for _ in range(6):
        state = environment.step(state, torch.tensor([1]))
    player = SeatedAgent(agent("connect_four", make("connect_four")), 0, environment)
    chosen = player.choose(concatenate([start, state]), torch.tensor([0, 1]), torch.tensor([0, 6]))
    assert int(chosen[1]) != 1


def test_a_policy_is_seated(environment: PettingZooGame) -> None:
    network = Policy(agent("connect_four", make("connect_four")))
    players = SeatedPolicy(network, environment, "network"), SeatedPolicy(first_legal, environment, "first column")
    pairing = match(environment, *players, games=4)
    assert (pairing.player, pairing.opponent, len(pairing.results)) == ("network", "first column", 4)


def test_an_agent_of_another_game_is_refused(environment: PettingZooGame) -> None:
    with pytest.raises(UserError, match=r"plays tic_tac_toe with 9 actions, and environment connect_four_v3 has 7"):
        SeatedAgent(agent("tic_tac_toe", make("tic_tac_toe")), 0, environment)
    other = make("connect_four", rows=3)
    player = SeatedAgent(agent("connect_four", other), 0, environment)
    with pytest.raises(UserError, match="have other legal moves after the moves 0 0 0:"):
        state = environment.initial(1, torch.device("cpu"))
        for _ in range(3):
            state = environment.step(state, torch.tensor([0]))
        player.choose(state, torch.tensor([0]), torch.tensor([3]))


def test_a_policy_that_plays_an_illegal_move_is_one_line(environment: PettingZooGame) -> None:
    player = SeatedPolicy(lambda seen: 9, environment, "nine")
    with pytest.raises(UserError, match="nine plays the illegal move 9 at ply 1; legal are 0, 1, 2, 3, 4, 5, 6"):
        player.choose(environment.initial(1, torch.device("cpu")), torch.tensor([0]), torch.tensor([0]))


def makes_first_legal() -> Any:
    """What an entry point of a policy names."""
    return first_legal


@pytest.mark.slow
def test_the_arena_has_a_referee(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--runs-dir", str(tmp_path)]
    assert main(["train", str(preset(tmp_path)), "budget=40", "--name", "ttt", *arguments]) == 0
    capsys.readouterr()
    arguments += ["--games", "4", "--simulations", "2", "--json"]
    referee = "pettingzoo:pettingzoo.classic:tictactoe_v3,processes=0"
    assert main(["arena", "ttt", *arguments, "--referee", referee]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["game"] == "pettingzoo" and found["pairings"][0]["games"] == 4
    assert main(["arena", "ttt", *arguments, "--referee", "pettingzoo:pettingzoo.classic.connect_four_v3"]) == 2
    assert "with 9 actions, and environment connect_four_v3 has 7" in capsys.readouterr().err
    assert main(["arena", "ttt", *arguments, "--against", "policy:first"]) == 2
    assert "policy:first plays in environments" in capsys.readouterr().err
    arguments += ["--referee", referee]
    assert main(["arena", "ttt", "gnugo", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["arena", "ttt", *arguments, "--against", "policy:first"]) == 2
    assert "unknown policy 'first'; installed are none" in capsys.readouterr().err
    value = f"{__name__}:{makes_first_legal.__name__}"
    points = metadata.EntryPoints([metadata.EntryPoint("first", value, cli_referee.POLICIES)])
    monkeypatch.setattr(cli_referee, "metadata", SimpleNamespace(entry_points=points.select))
    assert main(["arena", "ttt", "policy:first", *arguments]) == 0
    pairings = json.loads(capsys.readouterr().out)["pairings"]
    assert ["first" in (found["player"], found["opponent"]) for found in pairings].count(True) == 2
