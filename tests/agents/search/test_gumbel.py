"""Gumbel AlphaZero: completed Q values, the improved policy, equality with a search of single nodes."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.search import GumbelSearch, Root, SearchResult
from agents.search.completed_q import completed_q, transform
from agents.search.tree import NodeStats, Tree
from tests.agents.reference_search import gumbel_search, improved_policy
from tests.agents.table_dynamics import ILLEGAL, Tables, TableState, random_tables, tables


def search(world: Tables, how: GumbelSearch, roots: list[int], **arguments: Any) -> SearchResult:
    return how(world.root(torch.tensor(roots)), dynamics=world, seed=0, **arguments)


def bandit(values: list[float], logits: list[float] | None = None, root_value: float = 0.0) -> Tables:
    """One decision whose action a leads to a state worth values[a] to whoever decides here."""
    arms = len(values)
    return tables(
        logits=[logits or [0.0] * arms] + [[0.0] * arms for _ in values],
        value=[root_value, *values],
        successor=[list(range(1, arms + 1))] + [[1 + a] * arms for a in range(arms)],
        discount=1.0,
    )


def root_stats(visits: list[float], value_sum: list[float], logits: Tensor, value: float) -> NodeStats:
    """Statistics of one root that has seen this."""
    state = TableState(torch.zeros(1, dtype=torch.int64))
    nothing = torch.zeros(1, dtype=torch.int64)
    legal = torch.ones_like(logits[None], dtype=torch.bool)
    tree = Tree.allocate(Root(state, legal, logits[None], torch.tensor([value]), nothing, nothing), simulations=0)
    tree.visits[:] = torch.tensor(visits)
    tree.value_sum[:] = torch.tensor(value_sum)
    return tree.root_stats()


def test_mixed_value_completes_actions_without_visits() -> None:
    # Prior 1/2, 1/4, 1/4. Visited: the first twice with mean 0.5, the second once with mean -0.5. Weighted by
    # their prior that is (1/2 * 0.5 - 1/4 * 0.5) / (3/4) = 1/6; with the raw value 1, (1 + 3 * 1/6) / 4 =
    # 0.375.
    stats = root_stats(
        visits=[2.0, 1.0, 0.0], value_sum=[1.0, -0.5, 0.0], logits=torch.log(torch.tensor([0.5, 0.25, 0.25])), value=1.0
    )
    assert torch.allclose(completed_q(stats), torch.tensor([[0.5, -0.5, 0.375]]))


def test_visited_actions_of_vanishing_prior_are_averaged_all_the_same() -> None:
    stats = root_stats(visits=[1.0, 0.0], value_sum=[0.5, 0.0], logits=torch.tensor([-500.0, 0.0]), value=0.0)
    assert torch.allclose(completed_q(stats), torch.tensor([[0.5, 0.25]]))


def test_transform_scales_to_the_row_and_grows_with_the_visits() -> None:
    # (50 + 3) * 0.1 * (q - low) / (high - low)
    q = torch.tensor([[-1.0, 0.0, 3.0], [0.2, 0.2, 0.2]])
    visits = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[0.0, 5.3 / 4, 5.3], [0.0, 0.0, 0.0]])
    assert torch.allclose(transform(q, visits, value_scale=0.1, visit_offset=50.0), expected)


def test_improved_policy_of_two_arms() -> None:
    # Each arm is seen once: q = 0.5 and -0.5, scaled 1 and 0, so sigma = (50 + 1) * 0.1 = 5.1 and 0.
    result = search(bandit([0.5, -0.5]), GumbelSearch(simulations=2, gumbel_scale=0.0), [0])
    first = 1 / (1 + math.exp(-5.1))
    assert torch.allclose(result.policy[0], torch.tensor([first, 1 - first]))
    assert torch.allclose(result.value, torch.tensor([first * 0.5 - (1 - first) * 0.5]))
    assert result.q[0].tolist() == [0.5, -0.5]
    assert result.action.tolist() == [0]


def test_visits_halve_towards_the_best_arm() -> None:
    # 8 arms, 48 simulations, three phases of 16: twice each, then 4 times for the best four, 8 times for the
    # best two.
    values = [0.1, 0.6, -0.3, 0.8, 0.0, 0.4, -0.9, 0.2]
    result = search(bandit(values), GumbelSearch(simulations=48, max_considered_actions=8, gumbel_scale=0.0), [0])
    assert result.visits[0].tolist() == [2, 14, 2, 14, 2, 6, 2, 6]
    assert result.action.tolist() == [3]


def test_only_the_actions_sampled_are_considered() -> None:
    # With noise for 2 and 0, those two are searched although the prior and the values speak for 1 and 3.
    world = bandit([0.0, 0.9, 0.1, 0.9], logits=[0.0, 1.0, 0.0, 1.0])
    noise = torch.tensor([[5.0, 0.0, 6.0, 0.0]])
    result = search(world, GumbelSearch(simulations=8, max_considered_actions=2), [0], root_noise=noise)
    assert result.visits[0].tolist() == [4, 0, 4, 0]
    assert result.action.tolist() == [2]


def test_without_search_gumbel_noise_samples_the_prior() -> None:
    chances = torch.tensor([0.1, 0.2, 0.7])
    world = bandit([0.0] * 3, logits=torch.log(chances).tolist())
    draws = 4000
    actions = search(world, GumbelSearch(simulations=1, max_considered_actions=1), [0] * draws).action
    frequency = torch.bincount(actions, minlength=3) / draws
    # Four standard deviations.
    assert ((frequency - chances).abs() < 4 * torch.sqrt(chances * (1 - chances) / draws)).all()


def test_temperature_zero_leaves_no_noise() -> None:
    world = bandit([0.0] * 3, logits=[0.0, 0.3, 0.2])
    mixed = torch.where(torch.arange(100) % 2 == 0, 0.0, 1.0)
    actions = search(world, GumbelSearch(simulations=1, max_considered_actions=1), [0] * 100, temperature=mixed).action
    assert (actions[::2] == 1).all()
    assert len(actions[1::2].unique()) == 3


@pytest.mark.parametrize(
    ("simulations", "considered", "general"),
    [(1, 1, False), (13, 3, True), (32, 16, False), (40, 5, True), (64, 4, False)],
)
def test_equal_to_a_search_written_one_node_at_a_time(simulations: int, considered: int, general: bool) -> None:
    world = random_tables(simulations, states=40, actions=6, general=general)
    noise = np.random.default_rng(considered).gumbel(size=(40, 6))
    result = search(
        world,
        GumbelSearch(simulations=simulations, max_considered_actions=considered),
        list(range(40)),
        root_noise=torch.tensor(noise, dtype=torch.float32),
    )
    for row in range(40):
        root, action = gumbel_search(world, row, simulations, considered, noise[row])
        assert result.visits[row].tolist() == root.visits.tolist()
        assert result.action[row] == action
        assert np.allclose(result.policy[row], improved_policy(root), atol=1e-5)


def test_a_legal_action_of_vanishing_prior_beats_illegal_ones() -> None:
    world = bandit([0.0, -1.0, 0.5], logits=[ILLEGAL, 0.0, -2e9])
    result = search(world, GumbelSearch(simulations=4), [0])
    assert result.visits[0].tolist() == [0, 2, 2]
