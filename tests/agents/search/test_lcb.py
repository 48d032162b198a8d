"""Moves by their lower confidence bound."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_agent, make_network
from agents.search import GumbelSearch, PuctSearch, Search
from agents.search.lcb import lcb_choice, lower_confidence_bounds
from agents.search.simulation import descend_to_leaves, grow
from agents.search.tree import NodeStats
from tests.agents.reference_search import Node, puct, simulate
from tests.agents.small_alphazero import DEVICE, config
from tests.agents.table_dynamics import random_tables

BOTH: list[Search] = [
    GumbelSearch(simulations=24, gumbel_scale=0.0),
    PuctSearch(simulations=24, dirichlet_fraction=0.0),
]


def stats_of(visits: list[float], q: list[float]) -> NodeStats:
    n = torch.tensor([visits])
    even = torch.zeros_like(n)
    return NodeStats(n, n * torch.tensor([q]), even, torch.softmax(even, -1), torch.zeros(1))


def squares_of(stats: NodeStats, deviation: list[float]) -> Tensor:
    mean = stats.value_sum / stats.visits.clamp_min(1.0)
    return stats.visits * (mean.square() + torch.tensor([deviation]).square())


def test_squared_returns_are_those_of_a_search_written_one_node_at_a_time() -> None:
    world = random_tables(7, states=20, actions=4, general=True)
    search = PuctSearch(simulations=40)
    tree = grow(
        world.root(torch.arange(20)),
        dynamics=world,
        root_choice=lambda stats, simulation: search.choice(stats),
        interior_choice=search.choice,
        simulations=40,
        descend=descend_to_leaves,
        squares=True,
    )
    assert tree.root_squares is not None
    for row in range(20):
        root, squares = Node(world, row), [0.0] * 4
        for _ in range(40):
            action = puct(root)
            squares[action] += simulate(root, action, puct) ** 2
        assert tree.root_squares.view(20, 4)[row].tolist() == pytest.approx(squares, rel=1e-4, abs=1e-5)


def test_the_bound_of_many_visits_is_the_mean_minus_deviations_of_the_mean() -> None:
    stats = stats_of([400.0, 100.0, 0.0], [0.5, 0.25, 0.0])
    bounds = lower_confidence_bounds(stats, squares_of(stats, [0.4, 0.2, 0.0]), 5.0)[0]
    # 0.5 - 5 * 0.4 / 20 and 0.25 - 5 * 0.2 / 10, but for the prior.
    assert bounds.tolist() == [pytest.approx(0.4, abs=1e-4), pytest.approx(0.15, abs=1e-3), -torch.inf]


def test_one_visit_has_the_largest_variance() -> None:
    stats = stats_of([1.0], [0.9])
    # Variance 1 of a prior that weighs as much as the visit, and two samples: sqrt(0.5 / 2) = 0.5.
    assert float(lower_confidence_bounds(stats, squares_of(stats, [0.0]), 1.0)) == pytest.approx(0.4, abs=1e-4)


@pytest.mark.parametrize(
    ("visits", "q", "chosen"),
    [
        ([60.0, 40.0], [0.1, 0.6], 1),  # the most visited move has become worse
        ([60.0, 6.0], [0.1, 0.9], 0),  # fewer than 0.15 of the most visits
        ([60.0, 12.0], [0.5, 0.55], 0),  # too few to be sure
        ([0.0, 0.0], [0.0, 0.0], 1),  # no visits: the other choice
    ],
)
def test_a_better_move_is_played_as_soon_as_it_is_sure(visits: list[float], q: list[float], chosen: int) -> None:
    stats = stats_of(visits, q)
    assert int(lcb_choice(stats, squares_of(stats, [0.3, 0.3]), 5.0, torch.tensor([1]))) == chosen


@pytest.mark.parametrize("search", BOTH, ids=["gumbel", "puct"])
@pytest.mark.parametrize("solver", [False, True])
def test_only_the_move_differs_and_it_has_its_share_of_the_visits(search: Search, solver: bool) -> None:
    world = random_tables(3, states=200, actions=6)
    root = world.root(torch.arange(200))
    search = replace(search, solver=solver)
    usual, bounded = (replace(search, lcb_stdevs=z)(root, dynamics=world, seed=0, temperature=0.0) for z in (0.0, 5.0))
    for name in ("policy", "value", "visits", "q"):
        assert torch.equal(getattr(usual, name), getattr(bounded, name))
    assert (usual.action != bounded.action).any()
    share = bounded.visits.gather(1, bounded.action[:, None])[:, 0] / bounded.visits.amax(-1)
    assert solver or (share >= 0.15).all()


def test_agents_play_by_the_bound_and_self_play_does_not() -> None:
    settings = config(evaluate={"lcb_stdevs": 5.0})
    game = settings.game.make()
    net = make_network(settings, game)
    played = LocalActors(game, settings, net, DEVICE).groups[0].search
    assert isinstance(played, GumbelSearch) and played.lcb_stdevs == 0.0
    assert make_agent("a", settings, net, DEVICE).search(8).lcb_stdevs == 5.0
