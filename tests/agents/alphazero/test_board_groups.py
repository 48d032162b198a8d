"""Boards that are played in groups, each in a thread: what stays the same, and what a resumed run keeps."""

from dataclasses import replace

import pytest
import torch

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.precision import group_count
from lab.train.device import Device
from tests.agents.small_alphazero import DEVICE, config
from tests.same_run import assert_same_bits

SETTINGS = config(selfplay={"boards": 513, "recorded_boards": 3, "moves_per_iteration": 6}, network={"norm": "none"})


def actors(threads: int, settings: AlphaZeroConfig = SETTINGS) -> LocalActors:
    torch.manual_seed(0)
    game = settings.game.make()
    return LocalActors(game, settings, make_network(settings, game).eval(), replace(DEVICE, threads=threads))


def games(players: LocalActors) -> dict[int, int]:
    """The length of each game that ends within a poll, by id."""
    found: dict[int, int] = {}
    for finished in players.poll():
        found |= zip(finished.game_id.tolist(), finished.plies.tolist(), strict=True)
    return found


@pytest.mark.parametrize(
    ("device", "boards", "groups"),
    [
        (Device(torch.device("cpu"), "fp32", 1), 1000, 1),
        (Device(torch.device("cpu"), "fp32", 2), 512, 2),
        (Device(torch.device("cpu"), "fp32", 2), 511, 1),
        (Device(torch.device("cpu"), "fp32", 16), 1024, 4),
        (Device(torch.device("cuda"), "bf16", 16), 4096, 1),
    ],
)
def test_a_cpu_plays_as_many_groups_as_it_has_threads_and_boards_for(device: Device, boards: int, groups: int) -> None:
    assert group_count(boards, device) == groups


def test_groups_share_all_boards_and_never_play_the_same_game() -> None:
    players = actors(2)
    states = players.state_dict()["groups"]
    ids = [set(state["ids"].tolist()) for state in states]
    assert [len(part) for part in ids] == [257, 256] and not ids[0] & ids[1]
    first = games(players)
    after = [set(state["ids"].tolist()) for state in players.state_dict()["groups"]]
    assert first and not after[0] & after[1] and not (after[0] | after[1]) & set(first)


def test_a_game_does_not_depend_on_the_groups() -> None:
    together, apart = games(actors(1)), games(actors(2))
    both = together.keys() & apart.keys()
    assert len(both) > 20
    assert {number: together[number] for number in both} == {number: apart[number] for number in both}


def test_groups_do_not_depend_on_timing() -> None:
    one, other = actors(2), actors(2)
    assert_same_bits(one.poll(), other.poll())
    assert_same_bits(one.state_dict(), other.state_dict())


def test_a_state_keeps_the_number_of_groups_on_any_number_of_threads() -> None:
    whole, stopped = actors(2), actors(2)
    whole.poll(), stopped.poll()
    resumed = actors(1)
    resumed.load_state_dict(stopped.state_dict())
    assert_same_bits(whole.poll(), resumed.poll())
    assert whole.counts().roots == resumed.counts().roots


def test_the_threads_of_other_operations_stay() -> None:
    before = torch.get_num_threads()
    actors(2).poll()
    assert torch.get_num_threads() == before


def test_a_state_with_more_groups_than_boards_is_refused() -> None:
    state = actors(1).state_dict()
    state["groups"] = [state.pop("selfplay")] * 600
    with pytest.raises(ValueError, match="513 boards are not played in 600 groups"):
        actors(1).load_state_dict(state)
