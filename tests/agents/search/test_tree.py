"""Trees small enough to follow by hand: what is visited, what is backed up, what is left alone."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.search import GumbelSearch, PuctSearch, Search
from agents.search.simulation import Descend, descend_fixed_length, descend_to_leaves, grow
from agents.search.tree import ENDED, UNEXPANDED, Leaf, NodeStats, Tree
from tests.agents.table_dynamics import ILLEGAL, Tables, TableState, random_tables, tables


def grow_by_plan(world: Tables, plan: list[int], roots: int = 1, descend: Descend = descend_to_leaves) -> Tree:
    """Grows from state 0 with the root's actions given; interior nodes follow their largest logit."""
    index = torch.zeros(roots, dtype=torch.int64)

    def root_choice(stats: NodeStats, simulation: int) -> Tensor:
        return torch.full((roots,), plan[simulation])

    def interior_choice(stats: NodeStats) -> Tensor:
        return stats.logits.argmax(-1)

    return grow(
        world.root(index),
        dynamics=world,
        root_choice=root_choice,
        interior_choice=interior_choice,
        simulations=len(plan),
        descend=descend,
    )


def root_visits_and_sums(tree: Tree) -> tuple[list[float], list[float]]:
    stats = tree.root_stats()
    return stats.visits[0].tolist(), stats.value_sum[0].tolist()


# State 0 leads to 1 by action 0 and ends by action 1. In 1 the larger logit is action 1, which leads to 2,
# and so on down a chain of states that all prefer action 1.
def chain(discount: float, reward: float = 0.0) -> Tables:
    return tables(
        logits=[[0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]],
        value=[0.5, 0.25, -0.5, 0.125],
        successor=[[1, 1], [3, 2], [3, 3], [3, 3]],
        reward=[[reward, 1.0], [reward] * 2, [reward] * 2, [reward] * 2],
        discount=discount,
        ended=[[False, True], [False] * 2, [False] * 2, [False] * 2],
    )


@pytest.mark.parametrize("descend", [descend_to_leaves, descend_fixed_length])
def test_the_sign_of_a_value_flips_at_every_step_of_alternating_players(descend: Descend) -> None:
    # Returns of action 0: -v(1) = -0.25; +v(2) = -0.5; -v(3) = -0.125. Of action 1, which ends: 1, twice.
    tree = grow_by_plan(chain(-1.0), [0, 0, 1, 1, 0], descend=descend)
    assert root_visits_and_sums(tree) == ([3.0, 2.0], [-0.875, 2.0])
    # Node 1 is state 1: the simulations that passed it returned -v(2) = 0.5 and +v(3) = 0.125 for its mover.
    stats = tree.stats(torch.tensor([1]))
    assert stats.visits.tolist() == [[0.0, 2.0]]
    assert stats.value_sum.tolist() == [[0.0, 0.625]]


def test_values_keep_their_sign_while_the_same_player_moves() -> None:
    # 0.25 + (-0.5) + 0.125
    tree = grow_by_plan(chain(1.0), [0, 0, 0])
    assert root_visits_and_sums(tree) == ([3.0, 0.0], [-0.125, 0.0])


def test_rewards_on_the_way_are_added_and_discounted() -> None:
    # With discount 1/2 and reward 1 a step: 1 + v(1)/2 = 1.125; 1 + (1 + v(2)/2)/2 = 1.375;
    # 1 + (1 + (1 + v(3)/2)/2)/2 = 1.765625.
    tree = grow_by_plan(chain(0.5, reward=1.0), [0, 0, 0])
    assert root_visits_and_sums(tree) == ([3.0, 0.0], [1.125 + 1.375 + 1.765625, 0.0])


def test_a_discount_of_zero_ends_what_comes_after_without_ending_the_game() -> None:
    # A learned model says 0 where it believes the episode over: the subtree grows, but nothing of it counts.
    tree = grow_by_plan(chain(0.0, reward=0.75), [0, 0, 0])
    assert root_visits_and_sums(tree) == ([3.0, 0.0], [2.25, 0.0])
    assert tree.child[0] == 1


def test_an_ended_edge_never_becomes_a_node_and_asks_for_no_evaluation() -> None:
    world = chain(-1.0)
    asked: list[bool] = []

    def dynamics(state: TableState, action: Tensor, wanted: Tensor) -> Leaf:
        asked.extend(wanted.tolist())
        return world(state, action, wanted)

    tree = grow(
        world.root(torch.zeros(1, dtype=torch.int64)),
        dynamics=dynamics,
        root_choice=lambda stats, simulation: torch.ones(1, dtype=torch.int64),
        interior_choice=lambda stats: stats.logits.argmax(-1),
        simulations=4,
        descend=descend_to_leaves,
    )
    assert asked == [True, False, False, False]
    assert tree.child.tolist()[:2] == [UNEXPANDED, ENDED]
    assert root_visits_and_sums(tree) == ([0.0, 4.0], [0.0, 4.0])


def test_each_simulation_creates_its_own_node_below_the_right_parent() -> None:
    tree = grow_by_plan(chain(-1.0), [0, 0, 0], roots=2)
    # Node m of tree b is row 2 m + b: both trees are the chain of nodes 1, 2, 3.
    assert tree.child.view(4, 2, 2)[:3, :, :].tolist() == [
        [[2, UNEXPANDED], [3, UNEXPANDED]],
        [[UNEXPANDED, 4], [UNEXPANDED, 5]],
        [[UNEXPANDED, 6], [UNEXPANDED, 7]],
    ]
    assert tree.states.fields.at.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


SEARCHES = [
    GumbelSearch(simulations=24, max_considered_actions=4),
    GumbelSearch(simulations=7, max_considered_actions=16, gumbel_scale=0.0),
    PuctSearch(simulations=24),
    PuctSearch(simulations=24, dirichlet_fraction=0.0, fpu_reduction=0.2),
]


@pytest.mark.parametrize("search", SEARCHES, ids=["gumbel", "gumbel-no-noise", "puct", "puct-no-noise"])
@pytest.mark.parametrize("general", [False, True])
def test_a_row_alone_is_the_row_in_a_batch(search: Search, general: bool) -> None:
    world = random_tables(3, states=50, actions=6, general=general)
    index = torch.arange(12)
    game_ids, plies = 100 + index, index % 5

    def run(rows: Tensor) -> tuple[Tensor, ...]:
        return search(world.root(index[rows], game_ids[rows], plies[rows]), dynamics=world, seed=7)

    together = run(index)
    for row in range(len(index)):
        alone = run(index[row : row + 1])
        for a, b in zip(alone, together, strict=True):
            assert torch.equal(a[0], b[row])


@pytest.mark.parametrize("search", SEARCHES, ids=["gumbel", "gumbel-no-noise", "puct", "puct-no-noise"])
def test_descents_of_fixed_length_give_the_same_result(search: Search) -> None:
    world = random_tables(5, states=40, actions=5, general=True)
    root = world.root(torch.arange(16))
    fixed = replace(search, descend=descend_fixed_length)
    results = [one(root, dynamics=world, seed=0) for one in (search, fixed)]
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("search", SEARCHES, ids=["gumbel", "gumbel-no-noise", "puct", "puct-no-noise"])
def test_illegal_actions_are_never_visited(search: Search) -> None:
    world = random_tables(11, states=60, actions=7, illegal=0.6)
    # The priors of illegal actions at the root are the caller's to ignore: here they look best.
    root = world.root(torch.arange(60))
    legal = root.legal
    root = root._replace(logits=torch.where(legal, world.logits, 3.0))
    visited: list[Tensor] = []

    def dynamics(state: TableState, action: Tensor, wanted: Tensor) -> Leaf:
        visited.append(world.logits[state.at, action][wanted])
        return world(state, action, wanted)

    result = search(root, dynamics=dynamics, seed=1)
    assert (result.visits[~legal] == 0).all()
    assert (result.policy[~legal] == 0).all()
    assert legal.gather(1, result.action[:, None]).all()
    assert (result.visits.sum(-1) == search.simulations).all()
    assert (torch.cat(visited) > ILLEGAL).all()


@pytest.mark.parametrize("search", [GumbelSearch(simulations=0), PuctSearch(simulations=0)], ids=["gumbel", "puct"])
def test_no_simulations_still_choose_a_legal_action(search: Search) -> None:
    world = random_tables(2, states=30, actions=4, illegal=0.5)
    root = world.root(torch.arange(30))
    result = search(root, dynamics=world, seed=0)
    assert root.legal.gather(1, result.action[:, None]).all()
    assert torch.allclose(result.value, world.value)
