"""Reanalysis: which positions are searched again, and what a new search leaves in the replay buffer."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import InferenceNet
from agents.alphazero.reanalyser import Reanalyser
from agents.alphazero.records import Samples, concatenate, likeliest
from agents.alphazero.replay import ReplayBuffer
from agents.alphazero.search import make_search
from agents.games import decode, make
from agents.games.game import Game
from agents.search.dynamics import GameDynamics
from tests.agents.small_alphazero import CPU, DEVICE, config, play_games, selfplay
from tests.agents.small_games import OPTIONS

FIELDS = ("policy", "actions", "search_value", "version", "cheap")


def settings(game: str = "tic_tac_toe", fraction: float = 0.5) -> AlphaZeroConfig:
    return config(
        game={"name": game, "options": OPTIONS.get(game, {})},
        network={"heads": "convolutional", "head_channels": 4},
        search={"gumbel_scale": 0},
        selfplay={"record_states": True, "policy_entries": 5, "cache_slots": 0},
        replay={"reanalyse_fraction": fraction},
    )


def filled(game: Game, options: AlphaZeroConfig, folder: Path) -> ReplayBuffer:
    """Positions of self-play with another network, all marked as cheap."""
    player = selfplay(game, boards=16, record_states=True, policy_entries=5)
    positions = concatenate(play_games(player, game.max_plies + 1)).positions
    form = options.selfplay.record_format._replace(cheap=True)
    replay = ReplayBuffer(game, options.replay, folder, 1, form)
    marks = torch.ones(len(positions), 1, dtype=torch.uint8)
    replay.extend(Samples(**positions._asdict() | {"cheap": marks}))
    return replay


@pytest.mark.parametrize("name", ["tic_tac_toe", "go"])
def test_targets_become_those_of_a_new_search_and_nothing_else_changes(name: str, tmp_path: Path) -> None:
    options = settings(name)
    game = options.game.make()
    replay = filled(game, options, tmp_path)
    every = torch.arange(replay.total - replay.window, replay.total)
    before = Samples(*(field.clone() for field in replay.rows(every)))
    torch.manual_seed(1)
    net = make_network(options, game).eval()
    reanalyser = Reanalyser(game, options, net, DEVICE)
    reanalyser.run(replay, net, version=7)
    after = replay.rows(every)
    changed = after.version == 7
    assert 0 < int(changed.sum()) <= reanalyser.positions  # two batches may have a position in common
    assert not bool(after.cheap[changed].any()) and bool(after.cheap[~changed].all())
    for field in Samples._fields:
        one, other = getattr(after, field), getattr(before, field)
        assert torch.equal(one[~changed], other[~changed])
        assert field in FIELDS or torch.equal(one, other)
    # Without root noise the search of a position does not depend on when it is made.
    states = decode(game, before.state[changed])
    ids = every[changed]
    dynamics = GameDynamics(game, InferenceNet(net, precision="fp32"))
    search = make_search(options.search, game=game, device=CPU)
    found = search(dynamics.root(states, game_id=ids, ply=ids), dynamics=dynamics, seed=0, temperature=1.0)
    policy, actions = likeliest(found.policy, found.actions, 5)
    torch.testing.assert_close(after.search_value[changed].float(), found.value, atol=2e-3, rtol=0)
    torch.testing.assert_close(after.policy[changed].float(), policy, atol=2e-3, rtol=0)
    assert torch.equal(after.actions[changed].long(), actions)


def test_each_part_of_the_window_gives_one_position(tmp_path: Path) -> None:
    options = settings()
    game = make("tic_tac_toe")
    replay = filled(game, options, tmp_path)
    net = make_network(options, game)
    reanalyser = Reanalyser(game, options, net, DEVICE)
    seen = set()
    for number in range(80):
        reanalyser.positions = number * 8
        index = reanalyser._sample(replay, 8) - (replay.total - replay.window)
        assert [int(i) * 8 // replay.window for i in index] == pytest.approx(list(range(8)), abs=1)
        assert len(set(index.tolist())) == 8
        seen |= set(index.tolist())
    assert seen <= set(range(replay.window)) and len(seen) > 0.9 * replay.window


def test_as_many_full_batches_as_are_due_are_searched(tmp_path: Path) -> None:
    options = settings(fraction=0.4)
    game = make("tic_tac_toe")
    replay = filled(game, options, tmp_path)
    net = make_network(options, game).eval()
    reanalyser = Reanalyser(game, options, net, DEVICE)
    reanalyser.run(replay, net, version=1)
    due = 0.4 * (replay.total - options.replay.min_positions)
    assert due - 8 < reanalyser.positions <= due and reanalyser.positions % 8 == 0
    assert reanalyser.counts.roots == reanalyser.positions
    done = reanalyser.positions
    reanalyser.run(replay, net, version=2)
    assert reanalyser.positions == done


def test_a_run_that_begins_to_reanalyse_later_has_nothing_to_catch_up_with(tmp_path: Path) -> None:
    options = settings()
    game = make("tic_tac_toe")
    replay = filled(game, options, tmp_path)
    net = make_network(options, game).eval()
    reanalyser = Reanalyser(game, options, net, DEVICE)
    reanalyser.load_state_dict(None, replay.total)
    reanalyser.run(replay, net, version=1)
    assert reanalyser.counts.roots == 0


def test_without_recorded_states_it_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"set selfplay\.record_states=true"):
        config(replay={"reanalyse_fraction": 0.5})
