"""PUCT: exact visits, noise at the root alone, and how moves are drawn from visits."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.search import PuctSearch, SearchResult
from lab import rng
from tests.agents.reference_search import puct_search
from tests.agents.table_dynamics import Tables, random_tables, tables


def search(world: Tables, how: PuctSearch, roots: list[int], **arguments: Any) -> SearchResult:
    return how(world.root(torch.tensor(roots)), dynamics=world, seed=0, **arguments)


def flat(chances: list[float]) -> Tables:
    """A decision whose every action leads on to a state without value; the prior is `chances`."""
    logits = torch.log(torch.tensor(chances)).tolist()
    return tables(logits=[logits, logits], value=[0.0, 0.0], successor=[[1] * len(chances)] * 2)


# All returns are 0, so the next visit goes where prior / (1 + visits) is largest. Prior 0.7 and 0.3:
# 0.7 > 0.3 | 0.35 > 0.3 | 0.233 < 0.3 | 0.233 > 0.15 | 0.175 > 0.15 | 0.14 < 0.15
@pytest.mark.parametrize(
    ("simulations", "visits"),
    [(1, [1, 0]), (2, [2, 0]), (3, [2, 1]), (4, [3, 1]), (5, [4, 1]), (6, [4, 2])],
)
def test_visits_follow_the_prior_where_values_are_equal(simulations: int, visits: list[int]) -> None:
    result = search(flat([0.7, 0.3]), PuctSearch(simulations=simulations, dirichlet_fraction=0.0), [0])
    assert result.visits[0].tolist() == visits
    assert result.policy[0].tolist() == pytest.approx([v / simulations for v in visits])


def test_value_is_the_mean_of_the_raw_value_and_all_returns() -> None:
    # Action 0 wins at once; action 1 leads to a state of value 0.5 for the opponent. Each action has prior
    # 1/2. 1st visit: equal, lower index. 2nd: 1 + 0.625 / 2 for action 0 against the mean 0.6 + 0.625 for
    # action 1. 3rd: 1 + 0.625 * 1.41 / 3 = 1.29 against 0.73 + 0.625 * 1.41 = 1.62. The value is (0.2 + 1 + 1
    # - 0.5) / 4.
    world = tables(
        logits=[[0.0, 0.0]] * 2,
        value=[0.2, 0.5],
        successor=[[1, 1]] * 2,
        reward=[[1.0, 0.0], [0.0, 0.0]],
        ended=[[True, False], [False, False]],
    )
    result = search(world, PuctSearch(simulations=3, dirichlet_fraction=0.0), [0])
    assert result.visits[0].tolist() == [2, 1]
    assert result.value.tolist() == pytest.approx([0.425])
    assert result.q[0].tolist() == pytest.approx([1.0, -0.5])


@pytest.mark.parametrize(("fpu_reduction", "visits"), [(0.0, [4, 4]), (3.0, [8, 0])])
def test_first_play_urgency_holds_unvisited_actions_back(fpu_reduction: float, visits: list[int]) -> None:
    how = PuctSearch(simulations=8, dirichlet_fraction=0.0, fpu_reduction=fpu_reduction)
    assert search(flat([0.5, 0.5]), how, [0]).visits[0].tolist() == visits


@pytest.mark.parametrize(
    ("simulations", "general", "fpu_reduction"),
    [(1, False, 0.0), (16, True, 0.0), (50, True, 0.3), (64, False, 0.2)],
)
def test_equal_to_a_search_written_one_node_at_a_time(simulations: int, general: bool, fpu_reduction: float) -> None:
    world = random_tables(simulations, states=40, actions=5, general=general)
    how = PuctSearch(simulations=simulations, dirichlet_fraction=0.0, fpu_reduction=fpu_reduction)
    result = search(world, how, list(range(40)))
    for row in range(40):
        root = puct_search(world, row, simulations, fpu_reduction)
        assert result.visits[row].tolist() == root.visits.tolist()
        mean = (root.value + root.sums.sum()) / (1 + simulations)
        assert result.value[row].item() == pytest.approx(mean, abs=1e-5)
        seen = root.visits > 0
        assert np.allclose(result.q[row].numpy()[seen], (root.sums / root.visits.clip(1))[seen], atol=1e-5)


def test_noise_mixes_into_the_prior_of_the_root() -> None:
    # 0.75 * (0.7, 0.3) + 0.25 * (0, 1) = (0.525, 0.475): 0.525 > 0.475 | 0.2625 < 0.475 | 0.2625 > 0.2375
    noise = torch.tensor([[0.0, 1.0]])
    result = search(flat([0.7, 0.3]), PuctSearch(simulations=3), [0], root_noise=noise)
    assert result.visits[0].tolist() == [2, 1]
    assert search(flat([0.7, 0.3]), PuctSearch(simulations=2), [0], root_noise=noise).visits[0].tolist() == [1, 1]


def test_below_the_root_there_is_no_noise() -> None:
    # The root has one legal action, so noise can change nothing there, and so nothing anywhere.
    world = random_tables(4, states=30, actions=5)
    legal = torch.zeros(30, 5, dtype=torch.bool)
    legal[:, 0] = True
    index = torch.arange(30)
    root = world.root(index)._replace(legal=legal)
    quiet = PuctSearch(simulations=40, dirichlet_fraction=0.0)(root, dynamics=world, seed=0)
    noisy = PuctSearch(simulations=40, dirichlet_fraction=0.9)(root, dynamics=world, seed=0)
    assert torch.equal(quiet.value, noisy.value)


def test_noise_is_a_function_of_seed_game_and_ply() -> None:
    world = random_tables(6, states=200, actions=6, illegal=0.0)
    index = torch.zeros(200, dtype=torch.int64)

    def values(seed: int, game_ids: Tensor, plies: Tensor) -> Tensor:
        root = world.root(index, game_ids, plies)
        return PuctSearch(simulations=16, dirichlet_fraction=0.9)(root, dynamics=world, seed=seed).visits

    ids, zeros = torch.arange(200), torch.zeros(200, dtype=torch.int64)
    assert torch.equal(values(1, ids, zeros), values(1, ids, zeros))
    for other in (values(2, ids, zeros), values(1, ids + 200, zeros), values(1, ids, zeros + 1)):
        assert (values(1, ids, zeros) != other).any(1).float().mean() > 0.9


def test_temperature_zero_plays_the_most_visited_action() -> None:
    world = random_tables(8, states=100, actions=6)
    result = search(world, PuctSearch(simulations=20), list(range(100)), temperature=0.0)
    assert torch.equal(result.visits.gather(1, result.action[:, None])[:, 0], result.visits.amax(-1))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_moves_are_drawn_in_proportion_to_powers_of_visits(temperature: float) -> None:
    # Prior 0.5, 0.3, 0.2 and equal values give exactly 5, 3 and 2 of 10 visits; action 3 is never visited.
    how = PuctSearch(simulations=10, dirichlet_fraction=0.0)
    draws = 4000
    result = search(flat([0.5, 0.3, 0.2, 1e-6]), how, [0] * draws, temperature=temperature)
    assert result.visits[0].tolist() == [5, 3, 2, 0]
    weights = torch.tensor([5.0, 3.0, 2.0, 0.0]) ** (1 / temperature)
    chances = weights / weights.sum()
    frequency = torch.bincount(result.action, minlength=4) / draws
    assert ((frequency - chances).abs() <= 4 * torch.sqrt(chances * (1 - chances) / draws)).all()


def test_temperature_may_differ_by_row() -> None:
    rows = torch.arange(200)
    result = search(
        flat([0.5, 0.3, 0.2]),
        PuctSearch(simulations=10, dirichlet_fraction=0.0),
        [0] * 200,
        temperature=torch.where(rows % 2 == 0, 0.0, 1.0),
    )
    assert (result.action[::2] == 0).all()
    assert len(result.action[1::2].unique()) == 3


def test_dirichlet_noise_lies_on_legal_actions_and_spreads_by_alpha() -> None:
    legal = torch.tensor([True, True, False, True]).expand(4000, 4)
    for alpha in (0.3, 1.0, 3.0):
        draw = rng.dirichlet(alpha, legal, 0, torch.arange(4000)[:, None])
        assert torch.allclose(draw.sum(-1), torch.ones(4000), atol=1e-5)
        assert (draw[:, 2] == 0).all()
        # Each share of Dirichlet(alpha) over 3 has mean 1/3 and variance (1/3)(2/3) / (3 alpha + 1).
        shares = draw[:, [0, 1, 3]]
        assert torch.allclose(shares.mean(0), torch.full((3,), 1 / 3), atol=0.03)
        assert torch.allclose(shares.var(0), torch.full((3,), 2 / 9 / (3 * alpha + 1)), rtol=0.12)
