"""A search by slots of legal actions is the search over all actions; what a game remembers is found along the path."""

from functools import partial
from typing import Any

import pytest
import torch

from agents.arena.rollout import RolloutPlayer
from agents.games.game import actions_of, mask_of
from agents.games.testing import random_playout
from agents.search import GumbelSearch, PuctSearch, Search, SearchResult
from agents.search.cache import EvaluationCache
from agents.search.dynamics import GameDynamics, history_of
from agents.search.node_states import NodeStates
from agents.search.root import spread
from agents.search.simulation import descend_fixed_length
from tests.agents.games.patrol import DRAWN, STEPS, Patrol, PatrolState
from tests.agents.small_alphazero import hashed
from tests.same_run import assert_same_bits

CPU = torch.device("cpu")
BOTH = [GumbelSearch(simulations=40), PuctSearch(simulations=40)]


def name(value: object) -> str:
    return type(value).__name__


def decided(game: Patrol, search: Search, states: Any, cached: bool = False, fixed: bool = False) -> SearchResult:
    """The search's decisions with a network that is a hash of the position."""
    cache = EvaluationCache(2**10, game.num_slots, CPU) if cached else None
    dynamics = GameDynamics(game, hashed(game.num_actions), cache=cache, fixed_shapes=fixed)
    ids = torch.arange(len(states.plies))
    return search(dynamics.root(states, game_id=ids, ply=ids), dynamics=dynamics, seed=2)


def middle_games(game: Patrol, plies: int = 7) -> PatrolState:
    states = random_playout(game, 48, seed=1).states[plies]
    running = ~game.done(states)
    return PatrolState(*(field[running] for field in states))


@pytest.mark.parametrize("search", BOTH, ids=name)
def test_a_search_by_slots_decides_as_one_over_all_actions(search: Search) -> None:
    few, all_actions = Patrol(), Patrol(slots=False)
    states = middle_games(few)
    assert len(states.plies) > 30
    one, other = decided(few, search, states), decided(all_actions, search, states)
    assert one.policy.shape[1] == few.num_slots < few.num_actions
    dense = one.over_actions(few.num_actions)
    assert torch.equal(one.action, other.action)
    assert torch.equal(dense.visits, other.visits)
    torch.testing.assert_close(dense.policy, other.policy)
    torch.testing.assert_close(one.value, other.value)
    legal = few.legal(states)
    torch.testing.assert_close(dense.q[legal], other.q[legal])
    assert dense.q[~legal].isnan().all()
    assert legal.gather(1, one.action[:, None]).all()


@pytest.mark.parametrize("search", BOTH, ids=name)
def test_with_cache_or_fixed_shapes_a_search_by_slots_is_the_same(search: Search) -> None:
    game = Patrol()
    states = middle_games(game)
    plain = decided(game, search, states)
    assert_same_bits(tuple(decided(game, search, states, cached=True)), tuple(plain))
    fixed = type(search)(simulations=40, descend=partial(descend_fixed_length, max_depth=game.max_plies))
    assert torch.equal(decided(game, fixed, states, fixed=True).action, plain.action)


@pytest.mark.parametrize("search", BOTH, ids=name)
@pytest.mark.parametrize("memory", [2, 6, 40])
def test_a_history_along_the_path_is_the_one_kept_in_every_node(search: Search, memory: int) -> None:
    along, copied = Patrol(columns=1, memory=memory), Patrol(columns=1, memory=memory, remembers=False)
    # With one piece a side most of what is found in the tree are repetitions.
    states = along.initial(32, CPU)
    deep = type(search)(simulations=120)
    assert_same_bits(tuple(decided(along, deep, states)), tuple(decided(copied, deep, states)))


def test_the_ring_of_a_node_is_that_of_the_state_played_to() -> None:
    """States written to nodes along random games and read back, the deepest many times the ring's length."""
    game = Patrol(memory=3, max_plies=30)
    _, states, _ = random_playout(game, 20, seed=3)
    batch = 20
    nodes = NodeStates(states[0], history_of(game, states[0]), batch * len(states))
    for depth in range(1, len(states)):
        # Boards that are over write garbage; their nodes are never read.
        nodes.write(slice(depth * batch, (depth + 1) * batch), states[depth], torch.full((batch,), depth))
    rows = torch.arange(batch)
    for depth, state in enumerate(states):
        running = game.plies(state) == depth
        path = torch.stack([rows + d * batch for d in [*range(depth + 1), depth]])  # the last node is repeated
        # The order of a path has no effect, as it may have none where writes to one place have no order.
        for read in (nodes.read(rows + depth * batch, path), nodes.read(rows + depth * batch, path.flip(0))):
            for found, expected in zip(read, state, strict=True):
                assert torch.equal(found[running], expected[running])
    assert depth > 3 * 4


def back_and_forth(game: Patrol) -> list[int]:
    """Both sides' pieces step down and up again: after four plies the position is that of the start."""
    size, down, up = game.rows * game.columns, STEPS.index((1, 0)), STEPS.index((-1, 0))
    first, second = size - game.columns, 0
    return [
        up * size + first,
        down * size + second,
        down * size + first - game.columns,
        up * size + second + game.columns,
    ]


def test_a_repetition_of_what_was_played_before_the_search_is_found_in_the_tree() -> None:
    game = Patrol(rows=6, columns=2, memory=12)
    state = game.initial(1, CPU)
    moves = back_and_forth(game)
    for action in [*moves, *moves[:3]]:
        state = game.step(state, torch.tensor([action]))
    assert not game.done(state)
    # The fourth step repeats the initial position for the third time: a draw, which only the path can tell.
    drawing = torch.tensor([moves[3]])
    assert game.step(state, drawing).outcome.tolist() == [DRAWN]
    slot = int((game.legal_actions(state)[0] == moves[3]).nonzero()[0])

    def losing(observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(observation), game.num_actions), torch.full((len(observation),), 0.9)

    dynamics = GameDynamics(game, losing)
    ids = torch.zeros(1, dtype=torch.int64)
    root = dynamics.root(state, game_id=ids, ply=ids)
    result = PuctSearch(simulations=100, dirichlet_fraction=0.0)(root, dynamics=dynamics, seed=0, temperature=0.0)
    # Every other move leads to a position that the network calls won for the opponent.
    assert result.action.tolist() == [moves[3]]
    assert float(result.q[0, slot]) == 0.0


@pytest.mark.slow
def test_rollouts_play_by_slots_as_over_all_actions_when_they_have_the_same_random_numbers() -> None:
    game = Patrol()
    states = middle_games(game)
    ids = torch.arange(len(states.plies))
    player = RolloutPlayer(game, simulations=30)
    action = player.choose(states, ids, ids)
    assert game.legal(states).gather(1, action[:, None]).all()
    dense = RolloutPlayer(Patrol(slots=False), simulations=30).choose(states, ids, ids)
    assert torch.equal(action, dense)


def test_nothing_of_a_search_by_slots_with_a_history_waits_for_the_device() -> None:
    game, meta = Patrol(), torch.device("meta")
    for search in (GumbelSearch, PuctSearch):
        dynamics = GameDynamics(game, lambda seen: (seen.new_zeros(4, 96), seen.new_zeros(4)), fixed_shapes=True)
        ids = torch.zeros(4, dtype=torch.int64, device=meta)
        root = dynamics.root(game.initial(4, meta), game_id=ids, ply=ids)
        result = search(simulations=5, descend=descend_fixed_length)(root, dynamics=dynamics, seed=0, temperature=1.0)
        assert {field.device.type for field in result.over_actions(game.num_actions)} == {"meta"}


def test_actions_of_a_mask_are_its_columns_and_the_mask_of_them_is_the_mask() -> None:
    mask = torch.rand(50, 30, generator=torch.Generator().manual_seed(0)) < 0.3
    slots = int(mask.sum(1).max())
    actions = actions_of(mask, slots)
    for row, found in zip(mask, actions, strict=True):
        expected = row.nonzero()[:, 0].tolist()
        assert found.tolist() == expected + [-1] * (slots - len(expected))
    assert torch.equal(mask_of(actions, 30), mask)
    values = torch.arange(50 * slots, dtype=torch.float32).view(50, slots) + 1
    dense = spread(values, actions, 30, fill=-5.0)
    assert torch.equal(dense.gather(1, actions.clamp_min(0))[actions >= 0], values[actions >= 0])
    assert (dense[~mask] == -5).all()
