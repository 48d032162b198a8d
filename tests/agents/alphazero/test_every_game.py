"""Self-play, records, replay and learner of every registered game, on small boards."""

from pathlib import Path

import numpy as np
import pytest
import torch

from agents.alphazero.agent import make_agent, make_network
from agents.alphazero.learner import Learner
from agents.alphazero.records import RecordFormat, Samples, concatenate, dense_policy, unpack_observation
from agents.alphazero.replay import ReplayBuffer
from agents.alphazero.sample_game import play_sample_game
from agents.games import select
from agents.games.codec import decode
from agents.search import GumbelSearch, PuctSearch
from agents.search.dynamics import GameDynamics
from agents.search.simulation import descend_fixed_length
from lab.run import checkpoint
from tests.agents.small_alphazero import DEVICE, config, play_games, selfplay
from tests.agents.small_games import OPTIONS, every_small_game, small
from tests.same_run import assert_same_bits

FORM = RecordFormat(entries=20, states=True)


@every_small_game
def test_recorded_positions_are_those_that_were_played(name: str, tmp_path: Path) -> None:
    """The observation, the policy's actions and, a legal move later, the next state are those of the recorded state."""
    game = small(name)
    played = concatenate(play_games(selfplay(game, boards=6, record_states=True, policy_entries=20), game.max_plies))
    memory = ReplayBuffer(game, config().replay, tmp_path, 1, FORM)
    memory.extend(played.positions)
    kept = ReplayBuffer(game, config().replay, tmp_path, 1, FORM)
    kept.load_state_dict(memory.state_dict())
    positions = kept.rows(torch.arange(kept.total))
    states = decode(game, positions.state)
    assert not game.done(states).any()
    assert_same_bits(unpack_observation(game, positions), game.observe(states).flatten(1))
    policy = dense_policy(positions, game.num_actions)
    assert not policy[~game.legal(states)].any()
    assert torch.allclose(policy.sum(1), torch.ones(len(policy)), atol=5e-3)
    follows = (game.plies(states)[1:] == game.plies(states)[:-1] + 1).nonzero()[:, 0]
    assert len(follows)
    key = game.key(select(states, follows + 1))
    found = torch.zeros(len(follows), dtype=torch.bool)
    for action in game.legal_actions(select(states, follows)).unbind(1):
        after = game.step(select(states, follows), action.clamp_min(0))
        found |= (game.key(after) == key) & (action >= 0)
    assert found.all()


@every_small_game
def test_unfinished_games_go_on_as_if_nothing_had_happened(name: str, tmp_path: Path) -> None:
    game = small(name)
    straight = selfplay(game, boards=4)
    play_games(straight, 3)
    path = checkpoint.save(tmp_path, straight.state_dict(), iteration=1, counters={})
    other = selfplay(game, boards=4)
    other.load_state_dict(checkpoint.load(path)[0])
    assert_same_bits(play_games(straight, game.max_plies), play_games(other, game.max_plies))


@every_small_game
@pytest.mark.parametrize("heads", ["linear", "convolutional"])
def test_one_batch_of_every_game_can_be_learned(name: str, heads: str) -> None:
    game = small(name)
    if heads == "convolutional" and game.action_layout is None:
        pytest.skip(f"the actions of {name} have no place on its board")
    settings = config(
        game={"name": name, "options": OPTIONS.get(name, {})},
        network={"channels": 16, "heads": heads, "head_channels": 16},
        selfplay={"opening_plies": 0},
        learner={"learning_rate": 1e-2, "warmup_steps": 0, "symmetries": False, "search_value_fraction": 0.0},
    )
    torch.manual_seed(0)
    learner = Learner(make_network(settings, game), game, settings.learner, DEVICE, 0)
    played = concatenate(play_games(selfplay(game, boards=4), game.max_plies)).positions
    # No position twice, which could have two outcomes.
    rows = torch.from_numpy(np.unique(played.planes.numpy(), axis=0, return_index=True)[1])[:16]
    batch = Samples(*(field[rows] for field in played))
    losses = [{key: float(value) for key, value in learner.step(batch, 0).items()} for _ in range(80)]
    assert losses[-1]["loss/policy"] < 0.2 * losses[0]["loss/policy"]
    assert losses[-1]["loss/value"] < 0.2 * losses[0]["loss/value"]


@every_small_game
def test_an_agent_plays_a_sample_game(name: str) -> None:
    settings = config(game={"name": name, "options": OPTIONS.get(name, {})}, selfplay={"opening_plies": 0})
    torch.manual_seed(0)
    agent = make_agent("new", settings, make_network(settings, small(name)), DEVICE)
    played = play_sample_game(agent, 2)
    assert len(played.actions) == len(played.names) == len(played.policies) <= agent.game.max_plies
    assert [type(medium).__name__ for medium in played.media()] == ["Text", "Image", "Image"]


@every_small_game
def test_nothing_of_a_search_waits_for_the_device(name: str) -> None:
    """Tensors of the meta device have no values that could be read."""
    game, meta = small(name), torch.device("meta")

    def evaluate(seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return seen.new_zeros(len(seen), game.num_actions), seen.new_zeros(len(seen))

    dynamics = GameDynamics(game, evaluate, fixed_shapes=True)
    ids = torch.zeros(4, dtype=torch.int64, device=meta)
    root = dynamics.root(game.initial(4, meta), game_id=ids, ply=ids)
    for search in (GumbelSearch, PuctSearch):
        result = search(simulations=4, descend=descend_fixed_length)(root, dynamics=dynamics, seed=0, temperature=1.0)
        assert {field.device.type for field in result} == {"meta"}
