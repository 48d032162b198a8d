"""Environments as games: the invariants of every game, the same self-play as on tensors, resume, the commands."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.agent import make_agent, make_network
from agents.alphazero.network import InferenceNet
from agents.alphazero.sample_game import play_sample_game
from agents.alphazero.selfplay import SelfPlay
from agents.environments.pettingzoo_modules import find
from agents.environments.turns import make as turns_make
from agents.games import Game, make
from agents.games.checks import rules as rule_checks
from agents.games.testing import CHECKS, random_playout
from agents.search import GumbelSearch, PuctSearch, Search
from agents.search.dynamics import GameDynamics
from lab.cli.main import main
from lab.errors import UserError
from lab.run import checkpoint
from tests.agents.pettingzoo import nim
from tests.agents.small_alphazero import CPU, DEVICE, config, play_games, preset, selfplay
from tests.command_line import lab, launch, wait_until
from tests.same_run import assert_same_bits, assert_same_run

CONNECT_FOUR = {"env": "pettingzoo.classic:connect_four_v3", "max_plies": 42, "processes": 0}
TIC_TAC_TOE = {"env": "pettingzoo.classic.tictactoe_v3", "processes": 0}


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of `nim` by the names of their classes, as an entry point would give them."""
    monkeypatch.setattr(turns_make, "find", lambda name, source: getattr(nim, name, None) or find(name, source))


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check is not rule_checks.no_data], ids=lambda check: check.__name__
)
def test_it_holds_the_invariants_of_every_game(check: Any) -> None:
    """But that nothing is read back from the device: environments are no tensors."""
    check(random_playout(make("pettingzoo", **TIC_TAC_TOE), boards=12))


def played_by(game: Game, search: Search, boards: int) -> Any:
    """Games of a real network; its batches are those of all boards, so that rounding is the same."""
    torch.manual_seed(0)
    settings = config(game={"name": "connect_four"}, network={"channels": 16, "blocks": 2})
    net = InferenceNet(make_network(settings, make("connect_four")), precision="fp32")
    player = SelfPlay(
        game,
        search=search,
        dynamics=GameDynamics(game, net),
        config=settings.selfplay.model_copy(update={"boards": boards, "opening_plies": 6}),
        seed=3,
        device=CPU,
    )
    return play_games(player, 42)


@pytest.mark.parametrize(
    ("search", "boards"),
    [
        pytest.param(GumbelSearch(simulations=4, max_considered_actions=4), 1, id="gumbel"),
        pytest.param(GumbelSearch(simulations=16, max_considered_actions=7), 8, marks=pytest.mark.slow, id="gumbel-16"),
        pytest.param(PuctSearch(simulations=16), 8, marks=pytest.mark.slow, id="puct"),
    ],
)
def test_self_play_in_connect_four_is_that_on_tensors_bit_for_bit(search: Search, boards: int) -> None:
    """So that what is learned, position by position, is what the tensor rules teach."""
    ours, theirs = make("connect_four"), make("pettingzoo", **CONNECT_FOUR)
    expected = played_by(ours, search, boards)
    assert expected
    assert_same_bits(played_by(theirs, search, boards), expected)


@pytest.mark.slow
def test_whole_random_games_of_the_classics_are_those_on_tensors() -> None:
    for name, options in (("connect_four", CONNECT_FOUR), ("tic_tac_toe", TIC_TAC_TOE)):
        ours, theirs = make(name), make("pettingzoo", **options)
        _, states, actions = random_playout(ours, 64)
        state = theirs.initial(64, CPU)
        for action, expected in zip(actions, states[1:], strict=True):
            state = theirs.step(state, action)
            for function in ("legal", "player", "plies", "done", "reward", "observe"):
                assert torch.equal(getattr(theirs, function)(state), getattr(ours, function)(expected)), function
            assert torch.equal(
                theirs.observe(state, state.plies % 2 ^ 1), ours.observe(expected, expected.plies % 2 ^ 1)
            )


@pytest.mark.slow
def test_unfinished_games_go_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    game = make("pettingzoo", **TIC_TAC_TOE)
    straight = selfplay(game, boards=2)
    play_games(straight, 3)
    path = checkpoint.save(tmp_path, straight.state_dict(), iteration=1, counters={})
    other = selfplay(make("pettingzoo", **TIC_TAC_TOE), boards=2)
    other.load_state_dict(checkpoint.load(path)[0])
    assert_same_bits(play_games(straight, 9), play_games(other, 9))


@pytest.mark.slow
@pytest.mark.usefixtures("environments")
def test_a_game_without_copies_is_the_same(caplog: pytest.LogCaptureFixture) -> None:
    played = [
        play_games(selfplay(make("pettingzoo", env=env, processes=0), boards=4), 9)
        for env in ("Nim", "OneModule", "Offers")
    ]
    assert played[0]
    assert_same_bits(played[1], played[0])
    assert_same_bits(played[2], played[0])


@pytest.mark.usefixtures("environments")
def test_it_shows_what_the_environment_shows() -> None:
    game = make("pettingzoo", env="Nim", processes=0)
    state = game.step(game.initial(2, CPU), torch.tensor([0, 2]))
    assert game.render(state, 1) == "| | | | | | (player_1)"
    assert game.player_names == ("player_0", "player_1")
    assert game.image(state, 1).shape[2] == 3
    stones = make("pettingzoo", **TIC_TAC_TOE)
    after = stones.step(stones.initial(1, CPU), torch.tensor([4]))
    assert stones.render(after) == ". . .\n. X .\n. . ."
    assert stones.image(after).std() > 0  # PettingZoo's own picture


@pytest.mark.usefixtures("environments")
def test_a_finished_game_is_another_position_than_the_one_that_it_still_shows() -> None:
    game = make("pettingzoo", env="OldAtTheEnd", processes=0)
    state = game.initial(1, CPU)
    for _ in range(2):
        state = game.step(state, torch.tensor([2]))
    over = game.step(state, torch.tensor([2]))
    assert torch.equal(game.observe(over), game.observe(state)) and bool(game.done(over))
    assert not torch.equal(game.key(over), game.key(state))


@pytest.mark.usefixtures("environments")
def test_an_agent_plays_a_sample_game() -> None:
    settings = config(game={"name": "pettingzoo", "options": {"env": "Nim", "processes": 0}})
    torch.manual_seed(0)
    agent = make_agent("new", settings, make_network(settings, make("pettingzoo", env="Nim", processes=0)), DEVICE)
    assert "player_0 wins" in (text := play_sample_game(agent, 4).text) or "player_1 wins" in text


@pytest.mark.usefixtures("environments")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "pettingzoo needs the option env; set game.options.env"),
        ({"env": 3}, "pettingzoo: option env must be str, not 3"),
        ({"env": "Nim", "max_plies": 0}, "pettingzoo: max_plies must be from 1 to"),
        ({"env": "Nim", "num_slots": 2, "processes": 0}, "set game.options.num_slots to 3 or more"),
        ({"env": "Nim", "colour": "red"}, "cannot be made: TypeError"),
        ({"env": "Three"}, "has 3 agents"),
        ({"env": "Nim", "render_mode": "human"}, "game.options.render_mode is set by the lab"),
    ],
)
def test_options_that_do_not_fit_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        make("pettingzoo", **options)
    assert "\n" not in str(raised.value)


def test_a_run_that_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "alphazero/pettingzoo", "game.options.env=pettingzoo.classic:rps_v2"]
    assert main([*arguments, "--runs-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "rps_v2 has simultaneous moves" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def small(folder: Path, **changes: Any) -> Path:
    game = {"name": "pettingzoo", "options": {"env": "pettingzoo.classic:tictactoe_v3"}}
    return preset(folder, game=game, **changes)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_is_killed_resumed_and_used_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training in processes is training in this one, and a run that was killed and resumed is the straight one."""
    settings, runs = small(tmp_path, budget=200), ("--runs-dir", tmp_path)
    lab("train", settings, "game.options.processes=0", *runs, "--name", "one")
    process = launch("train", settings, "game.options.processes=2", *runs, "--name", "two")
    wait_until(lambda: (tmp_path / "two" / "checkpoints" / "000006").exists(), process)
    process.kill()
    process.communicate(timeout=60)  # the processes hold its standard error until they end
    lab("resume", "two", *runs)
    assert_same_run(tmp_path / "one", tmp_path / "two")
    assert main(["eval", "one", "--simulations", "2", "--json", "--runs-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["positions"] == 4520  # running positions of tic-tac-toe
    assert main(["arena", "one", "--games", "4", "--json", "--runs-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["game"] == "pettingzoo"
    typed = iter(["4", "quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert main(["play", "one", "--simulations", "4", "--runs-dir", str(tmp_path)]) == 0
    assert "the agent plays" in capsys.readouterr().out


def test_the_rules_of_an_environment_are_measured_as_those_of_any_game(capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"{name}={value}" for name, value in TIC_TAC_TOE.items()]
    arguments = ["bench", "games", *options, "--game", "pettingzoo", "--batch", "8", "--simulations", "2"]
    assert main([*arguments, "--seconds", "0.02", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["games"]
    assert found["search_plies_per_s"] > 0 and found["options"]["env"] == "pettingzoo.classic.tictactoe_v3"
