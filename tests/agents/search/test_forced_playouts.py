"""Forced playouts and policy targets without them, against the rule of Wu 2019 applied one visit at a time."""

import math

import pytest
import torch
from torch import Tensor

from agents.alphazero.search import make_search
from agents.games import make
from agents.search import PuctSearch, SearchResult
from agents.search.forced_playouts import is_forced, pruned_visits
from agents.search.tree import NodeStats
from tests.agents.reference_search import Node, puct, simulate
from tests.agents.small_alphazero import CPU, config
from tests.agents.table_dynamics import Tables, random_tables

K = 2.0


def search(world: Tables, simulations: int, k: float = K, temperature: float = 0.0) -> SearchResult:
    how = PuctSearch(simulations=simulations, dirichlet_fraction=0.0, forced_playouts=k)
    return how(world.root(torch.arange(len(world.value))), dynamics=world, seed=0, temperature=temperature)


def reference(world: Tables, state: int, simulations: int) -> Node:
    """The root after a search whose root forces playouts, one node at a time."""
    root = Node(world, state)

    def choose() -> int:
        total, prior = root.visits.sum(), root.prior()
        forced = [a for a in root.legal if 0 < root.visits[a] < math.sqrt(K * prior[a] * total)]
        return puct(root) if not forced else max(forced, key=lambda a: bound(root, a, float(root.visits[a])))

    for _ in range(simulations):
        simulate(root, choose(), puct)
    return root


def bound(node: Node, action: int, visits: float) -> float:
    total = node.visits.sum()
    c = 1.25 + math.log((1 + total + 19652.0) / 19652.0)
    return float(node.sums[action] / node.visits[action] + c * node.prior()[action] * math.sqrt(total) / (1 + visits))


def pruned(node: Node) -> list[float]:
    """The visits that remain when forced ones are taken away one by one."""
    best, total = int(node.visits.argmax()), node.visits.sum()
    limit = bound(node, best, node.visits[best])
    left = node.visits.copy()
    for a in node.legal:
        if a == best or not node.visits[a]:
            continue
        for _ in range(math.ceil(math.sqrt(K * node.prior()[a] * total))):
            if left[a] > 0 and bound(node, a, left[a] - 1) < limit:
                left[a] -= 1
        left[a] = left[a] if left[a] > 1 else 0
    return left.tolist()


@pytest.mark.parametrize("simulations", [1, 16, pytest.param(64, marks=pytest.mark.slow)])
def test_visits_and_policy_are_those_of_a_search_written_one_node_at_a_time(simulations: int) -> None:
    world = random_tables(simulations, states=40, actions=5)
    result = search(world, simulations)
    for row in range(40):
        root = reference(world, row, simulations)
        assert result.visits[row].tolist() == root.visits.tolist()
        left = torch.tensor(pruned(root))
        torch.testing.assert_close(result.policy[row], (left / left.sum()).float())


def test_every_visited_move_gets_its_share() -> None:
    world = random_tables(3, states=60, actions=6)
    # The last visits of the others may have raised the share that is due by less than one visit.
    due = torch.sqrt(K * torch.softmax(world.logits, -1) * 100) - 1
    forced, plain = search(world, 100).visits, search(world, 100, k=0.0).visits
    assert not ((forced > 0) & (forced < due)).any()
    assert ((plain > 0) & (plain < due)).any()


def test_without_forced_playouts_the_policy_is_the_share_of_visits() -> None:
    result = search(random_tables(3, states=60, actions=6), 64, k=0.0)
    assert torch.equal(result.policy, result.visits / 64)


def test_the_most_visited_move_loses_nothing_and_moves_are_sampled_from_what_is_left() -> None:
    world = random_tables(9, states=100, actions=6)
    result = search(world, 64, temperature=1.0)
    best = result.visits.argmax(-1, keepdim=True)
    assert (result.policy.gather(1, best) >= result.visits.gather(1, best) / 64).all()
    assert (result.policy.gather(1, result.action[:, None]) > 0).all()
    assert ((result.visits > 0) & (result.policy == 0)).any()


def test_a_move_that_looks_bad_loses_its_forced_visits_and_a_good_one_keeps_its_own() -> None:
    def row(*values: float) -> Tensor:
        return torch.tensor([values], dtype=torch.float32)

    logits = torch.log(row(0.5, 0.3, 0.2))
    stats = NodeStats(row(50, 6, 10), row(25, -6, 4.8), logits, torch.softmax(logits, -1), torch.zeros(1))
    assert is_forced(stats, K).tolist() == [[False, True, False]]
    exploration = 1.25 * stats.prior * math.sqrt(66)
    left = pruned_visits(stats, K, q=stats.value_sum / stats.visits, exploration=exploration)
    # Bound of slot 0: 0.5 + 5.08 / 51 = 0.5996. Slot 1 at -1 would need 0.9 visits; its 7 forced ones are gone.
    # Slot 2 at 0.48: 2.031 / 0.1196 - 1 = 16 visits were wanted, more than it has.
    assert left.tolist() == [[50.0, 0.0, 10.0]]


def test_evaluations_and_play_force_nothing() -> None:
    settings = config(search={"algorithm": "puct", "forced_playouts": K}).search
    for noise in (True, False):
        made = make_search(settings, game=make("tic_tac_toe"), device=CPU, noise=noise)
        assert isinstance(made, PuctSearch) and made.forced_playouts == (K if noise else 0.0)
