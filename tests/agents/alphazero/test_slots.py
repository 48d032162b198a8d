"""Self-play, replay and learner of a game with slots, a history and planes of numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.config import LearnerConfig, ReplayConfig
from agents.alphazero.learner import Learner
from agents.alphazero.network import PolicyValueNet
from agents.alphazero.records import (
    WHOLE_POLICY,
    RecordFormat,
    Samples,
    blank,
    concatenate,
    dense_policy,
    likeliest,
    row_bytes,
    unpack_observation,
)
from agents.alphazero.replay import ReplayBuffer
from agents.alphazero.search import default_cache_slots, make_dynamics
from agents.alphazero.selfplay import random_opening
from agents.games import GAMES, make, select
from agents.games.codec import decode, encode
from agents.search import GumbelSearch, PuctSearch, Search
from agents.search.dynamics import GameDynamics
from agents.search.memory import node_bytes, tree_bytes
from agents.search.tree import Tree
from lab.errors import CheckpointError
from lab.run import checkpoint
from tests.agents.games.patrol import Patrol
from tests.agents.small_alphazero import CPU, DEVICE, hashed, play_games, selfplay
from tests.same_run import assert_same_bits

MEMORY_TABLE = Path(__file__).parents[3] / "docs" / "concepts" / "mcts.md"
STATES = RecordFormat(states=True)
SEARCHES: list[Search] = [GumbelSearch(simulations=8, max_considered_actions=4), PuctSearch(simulations=8)]


def name(value: object) -> str:
    return type(value).__name__


def played(game: Any, search: Search = SEARCHES[0], moves: int = 24, **settings: Any) -> Any:
    return concatenate(play_games(selfplay(game, search=search, opening_plies=2, **settings), moves))


@pytest.mark.parametrize("search", SEARCHES, ids=name)
def test_records_by_slots_are_those_over_all_actions(search: Search) -> None:
    few, all_actions = played(Patrol(), search), played(Patrol(slots=False), search)
    assert len(few.game_id) > 10
    assert few.positions.policy.shape[1] == 24 and all_actions.positions.policy.shape[1] == 96
    assert all_actions.positions.actions.shape[1] == 0
    # Sums over other numbers of entries are rounded in another order.
    pairs = [[games.positions.search_value, dense_policy(games.positions, 96)] for games in (few, all_actions)]
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=2e-3)
    for field in ("planes", "numbers", "outcome", "version"):
        assert_same_bits(getattr(few.positions, field), getattr(all_actions.positions, field), field)
    assert_same_bits(tuple(few[2:]), tuple(all_actions[2:]))
    assert_same_bits(tuple(few.moves[:3]), tuple(all_actions.moves[:3]))


def test_planes_of_numbers_are_recorded_as_they_were_observed() -> None:
    game = Patrol(bonus=7.5)
    positions = played(game, record_states=True).positions
    states = decode(game, positions.state)
    observed = game.observe(states)
    assert_same_bits(unpack_observation(game, positions), observed.flatten(1))
    assert set(positions.numbers[:, 1].tolist()) == {7.5, -7.5}
    assert positions.planes.shape[1] == 6  # four planes of twelve bits


def test_policies_are_over_the_legal_actions_of_the_recorded_state() -> None:
    game = Patrol()
    positions = played(game, record_states=True).positions
    states = decode(game, positions.state)
    assert torch.equal(positions.actions.long(), game.legal_actions(states))
    policy = dense_policy(positions, game.num_actions)
    assert torch.allclose(policy.sum(1), torch.ones(len(policy)), atol=2e-3)
    assert not policy[~game.legal(states)].any()


def test_a_position_taken_from_replay_plays_on_exactly_as_the_original(tmp_path: Path) -> None:
    """A legal move leads from each state to the next one of its game, byte for byte, what it remembers included."""
    game = Patrol(memory=12)
    config = ReplayConfig(capacity=4000, window_start=2000, min_positions=10)
    memory = ReplayBuffer(game, config, tmp_path, 1, STATES)
    memory.extend(played(game, record_states=True).positions)
    other = ReplayBuffer(game, config, tmp_path, 1, STATES)
    other.load_state_dict(memory.state_dict())
    states = decode(game, other.rows(torch.arange(other.total)).state)
    before = (states.plies[1:] == states.plies[:-1] + 1).nonzero()[:, 0]
    assert len(before) > 60
    found = torch.zeros(len(before), dtype=torch.bool)
    for actions in game.legal_actions(select(states, before)).unbind(1):
        after = game.step(select(states, before), actions.clamp_min(0))
        pairs = zip(encode(after), encode(select(states, before + 1)), strict=True)
        found |= torch.stack([(one == next_).all() for one, next_ in pairs])
    assert found.all()


def test_saved_in_the_middle_of_games_by_slots_it_continues_identically(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"opening_plies": 2, "record_states": True}
    game = Patrol()
    straight = selfplay(game, **settings)
    play_games(straight, 5)
    path = checkpoint.save(tmp_path, straight.state_dict(), iteration=1, counters={})
    other = selfplay(game, **settings)
    other.load_state_dict(checkpoint.load(path)[0])
    assert_same_bits(play_games(straight, 15), play_games(other, 15))


def test_a_segment_with_actions_that_the_game_has_not_is_a_damaged_checkpoint(tmp_path: Path) -> None:
    game = Patrol()
    config = ReplayConfig(capacity=400, window_start=400, min_positions=10)
    memory = ReplayBuffer(game, config, tmp_path, 1)
    positions = played(game).positions
    positions.actions[3, 0] = game.num_actions
    memory.extend(positions)
    with pytest.raises(CheckpointError, match="holds actions that this game does not have"):
        ReplayBuffer(game, config, tmp_path, 1).load_state_dict(memory.state_dict())


def test_unfinished_games_with_actions_that_the_game_has_not_are_damaged() -> None:
    game = Patrol()
    player = selfplay(game)
    play_games(player, 3)
    state = player.state_dict()
    state["records"] = {**state["records"], "actions": state["records"]["actions"] + 96}
    with pytest.raises(ValueError, match="records that no game has"):
        selfplay(game).load_state_dict(state)


def learner(game: Any) -> Learner:
    torch.manual_seed(0)
    net = PolicyValueNet(game.observation_shape, game.num_actions, channels=8, blocks=1)
    return Learner(net, game, LearnerConfig(warmup_steps=0, batch_size=16), DEVICE, 0)


def test_the_learner_takes_the_same_step_by_slots_as_over_all_actions() -> None:
    losses = []
    for game in (Patrol(), Patrol(slots=False)):
        positions = Samples(*(field[:16] for field in played(game).positions))
        losses.append(learner(game).step(positions, 0))
    for term, value in losses[0].items():
        torch.testing.assert_close(value, losses[1][term], rtol=1e-3, atol=1e-3, msg=term)


def test_bytes_of_trees_and_positions_are_those_of_their_tensors() -> None:
    for game in (Patrol(memory=30), Patrol(slots=False)):
        state = game.initial(8, CPU)
        ids = torch.arange(8)
        root = GameDynamics(game, hashed(game.num_actions)).root(state, game_id=ids, ply=ids)
        tree = Tree.allocate(root, simulations=5)
        held = [value for value in vars(tree).values() if isinstance(value, torch.Tensor)]
        assert sum(tensor.nbytes for tensor in held) + tree.states.nbytes == 8 * 6 * node_bytes(game)
        roots = sum(field.nbytes for field in state)
        assert tree_bytes(game, 8, 5) == 8 * 6 * node_bytes(game) + roots
        positions = blank(10, game, STATES)
        assert sum(field.nbytes for field in positions) == 10 * row_bytes(game, STATES)
    assert node_bytes(Patrol(memory=30)) < node_bytes(Patrol(memory=30, remembers=False))


@pytest.mark.parametrize("name", GAMES)
def test_the_documentation_has_the_memory_of_each_game(name: str) -> None:
    game = make(name)
    counts = (game.num_actions, game.num_slots, node_bytes(game), round(tree_bytes(game, 256, 64) / 1e6, 1))
    records = [row_bytes(game, form) for form in (WHOLE_POLICY, RecordFormat(entries=64), STATES)]
    row = f"| {' | '.join(map(str, [f'`{name}`', *counts, *records]))} |"
    assert row in MEMORY_TABLE.read_text(encoding="utf-8"), f"the table of {MEMORY_TABLE} needs the row {row}"


@pytest.mark.parametrize("slots", [True, False])
def test_a_recorded_policy_has_the_likeliest_actions(slots: bool) -> None:
    game = Patrol(slots=slots)
    whole, cut = played(game).positions, played(game, policy_entries=5).positions
    assert cut.policy.shape[1] == cut.actions.shape[1] == 5
    policies, kept = dense_policy(whole, game.num_actions), dense_policy(cut, game.num_actions)
    threshold = policies.sort(1, descending=True).values[:, 4:5]
    assert (kept[policies > threshold] > 0).all() and not kept[policies < threshold].any()
    torch.testing.assert_close(kept.sum(1), torch.ones(len(kept)), rtol=0.0, atol=2e-3)
    chosen = torch.where(kept > 0, policies, 0.0)
    torch.testing.assert_close(kept, chosen / chosen.sum(1, keepdim=True), rtol=0.0, atol=2e-3)
    assert all(torch.equal(getattr(cut, name), getattr(whole, name)) for name in ("planes", "numbers", "outcome"))
    assert row_bytes(game, RecordFormat(entries=5)) < row_bytes(game)


def test_likeliest_actions_stay_in_order_and_empty_slots_come_last() -> None:
    policy = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.25, 0.75, 0.0, 0.0]])
    actions = torch.tensor([[3, 5, 7, 9], [2, 8, -1, -1]])
    kept, chosen = likeliest(policy, actions, 3)
    assert chosen.tolist() == [[5, 7, 9], [2, 8, -1]]
    torch.testing.assert_close(kept, torch.tensor([[4 / 9, 2 / 9, 3 / 9], [0.25, 0.75, 0.0]]))


def test_more_entries_than_slots_record_the_whole_policy() -> None:
    game = Patrol()
    assert_same_bits(tuple(played(game, policy_entries=500)), tuple(played(game)))


def test_random_openings_by_slots_are_those_over_all_actions() -> None:
    ids = torch.arange(200)
    few, plies = random_opening(Patrol(), ids, 4, 9)
    all_actions, other_plies = random_opening(Patrol(slots=False), ids, 4, 9)
    assert_same_bits(tuple(few), tuple(all_actions))
    assert torch.equal(plies, other_plies) and torch.equal(plies, few.plies) and int(plies.max()) > 5


def test_the_evaluation_cache_takes_64_mib_at_most() -> None:
    assert default_cache_slots(make("connect_four")) == 2**18
    large = Patrol(rows=40, columns=8, slots=False)
    assert default_cache_slots(large) == 2**12  # 2,560 slots of 4 bytes, and key, value and claim
    dynamics = make_dynamics(large, hashed(large.num_actions), None, CPU)
    assert dynamics.cache is not None
    assert sum(tensor.nbytes for tensor in vars(dynamics.cache).values()) <= 2**26
