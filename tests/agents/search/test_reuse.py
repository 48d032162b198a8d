"""Trees that are continued with the move that was played."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_network
from agents.search import GumbelSearch, PuctSearch, Root, SearchResult
from agents.search.dynamics import GameDynamics
from agents.search.reuse import TreeReuse, subtrees
from agents.search.solver import node_behind
from agents.search.tree import ENDED, UNEXPANDED, Tree
from tests.agents.reference_search import Node, gumbel_interior, puct, sigma, simulate
from tests.agents.small_alphazero import DEVICE, config, hashed
from tests.agents.small_games import small
from tests.agents.table_dynamics import Tables, random_tables
from tests.same_run import assert_same_bits

BOTH: list[GumbelSearch | PuctSearch] = [
    GumbelSearch(simulations=16, max_considered_actions=4, gumbel_scale=0.0),
    PuctSearch(simulations=16, dirichlet_fraction=0.0),
]
NAMES = ["gumbel", "puct"]


def after(world: Tables, root: Root, action: Tensor) -> Root:
    """The roots one ply later, of the same games."""
    return world.root(world.successor[root.state.at, action], root.game_id, root.ply + 1)


def running(world: Tables, root: Root, action: Tensor) -> list[int]:
    return (~world.ended[root.state.at, action]).nonzero()[:, 0].tolist()


def test_puct_goes_on_as_one_node_at_a_time_does() -> None:
    world = random_tables(1, states=30, actions=4)
    search = TreeReuse(PuctSearch(simulations=20, dirichlet_fraction=0.0))
    first = world.root(torch.arange(30))
    action = search(first, dynamics=world, seed=0, temperature=0.0).action
    second = after(world, first, action)
    result = search(second, dynamics=world, seed=0, temperature=0.0)
    inherited = 0.0
    for row in running(world, first, action):
        root = Node(world, row)
        for _ in range(20):
            simulate(root, puct(root), puct)
        root = root.children[int(action[row])]
        inherited += root.visits.sum()
        for _ in range(20):
            simulate(root, puct(root), puct)
        assert result.visits[row].tolist() == root.visits.tolist()
        mean = (root.value + root.sums.sum()) / (1 + root.visits.sum())
        assert float(result.value[row]) == pytest.approx(mean, abs=1e-5)
    assert inherited > 150


def halve(root: Node, simulations: int, considered: int) -> int:
    """Sequential halving without noise from a root with visits, which do not count; returns the action."""
    before = root.visits.copy()
    remaining = min(considered, len(root.legal))
    phases = math.ceil(math.log2(remaining)) if remaining > 1 else 1
    done = level = 0

    def best(level: float) -> int:
        scores = np.where(np.isfinite(root.logits), root.logits, -1e9) + sigma(root)
        return max((a for a in root.legal if root.visits[a] - before[a] == level), key=lambda a: scores[a])

    while done < simulations:
        for _ in range(max(1, simulations // (phases * remaining)) if remaining > 1 else simulations):
            for _ in range(min(remaining, simulations - done)):
                simulate(root, best(level), gumbel_interior)
                done += 1
            level += 1
        remaining = max(2, remaining // 2) if remaining > 1 else 1
    return best((root.visits - before).max())


def test_gumbel_counts_the_new_visits_of_the_root_and_all_visits_in_its_values() -> None:
    world = random_tables(2, states=30, actions=4)
    search = TreeReuse(replace(BOTH[0], simulations=16))
    first = world.root(torch.arange(30))
    action = search(first, dynamics=world, seed=0).action
    result = search(after(world, first, action), dynamics=world, seed=0)
    rows = running(world, first, action)
    for row in rows:
        root = Node(world, row)
        assert halve(root, 16, 4) == int(action[row])
        root = root.children[int(action[row])]
        assert halve(root, 16, 4) == int(result.action[row])
        assert result.visits[row].tolist() == root.visits.tolist()
    assert (result.visits[rows].sum(-1) > 16).any()


def test_the_root_of_a_continued_tree_gets_new_noise() -> None:
    world = random_tables(5, states=30, actions=4, illegal=0.0)
    first = world.root(torch.arange(30))
    search = PuctSearch(simulations=20, dirichlet_fraction=0.5)
    decision = search.decide(first, dynamics=world, seed=0)
    second = after(world, first, decision.result.action)
    everything = torch.ones(30, dtype=torch.bool)
    tree = subtrees(decision.tree, second, decision.slot, everything, kept=20, room=20)
    noise = torch.full((30, 4), 0.25)
    search.decide(second, dynamics=world, seed=0, root_noise=noise, inherited=tree)
    expected = 0.5 * torch.softmax(second.logits, -1) + 0.5 * noise
    torch.testing.assert_close(tree.root_stats().prior, expected)


@pytest.mark.parametrize("search", BOTH, ids=NAMES)
def test_other_games_and_forgotten_trees_start_anew(search: GumbelSearch | PuctSearch) -> None:
    world = random_tables(3, states=40, actions=4)
    first = world.root(torch.arange(40))
    reusing = TreeReuse(search)
    second = after(world, first, reusing(first, dynamics=world, seed=0, temperature=0.0).action)
    fresh = search(second, dynamics=world, seed=0, temperature=0.0)
    later = second._replace(ply=second.ply + 1)
    restarted = second._replace(game_id=second.game_id + 100)
    for root in (later, restarted):
        again = TreeReuse(search)
        again(first, dynamics=world, seed=0, temperature=0.0)
        assert torch.equal(again(root, dynamics=world, seed=0, temperature=0.0).visits, fresh.visits)
    reusing.forget()
    assert torch.equal(reusing(second, dynamics=world, seed=0, temperature=0.0).visits, fresh.visits)


@pytest.mark.parametrize("search", [BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.slow)], ids=NAMES)
@pytest.mark.parametrize("solver", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_row_alone_is_the_row_in_a_batch(search: GumbelSearch | PuctSearch, solver: bool) -> None:
    world = random_tables(4, states=50, actions=4)

    def play(rows: Tensor) -> list[SearchResult]:
        reusing, found = TreeReuse(replace(search, solver=solver)), []
        root = world.root(rows, 100 + rows, torch.zeros_like(rows))
        for _ in range(4):  # trees are cut from the third on
            found.append(reusing(root, dynamics=world, seed=7, temperature=0.0))
            root = after(world, root, found[-1].action)
        return found

    together = play(torch.arange(4))
    for row in range(4):
        for a, b in zip(play(torch.tensor([row])), together, strict=True):
            for field, of_batch in zip(a, b, strict=True):
                assert torch.equal(field[0], of_batch[row])


def children(tree: Tree, node: int) -> dict[int, int]:
    """Nodes behind the slots of a node."""
    row = node_behind(tree.child.view(-1, tree.slots)[node]).tolist()
    return {slot: child for slot, child in enumerate(row) if child >= 0}


def assert_same_subtree(old: Tree, top: int, new: Tree, root: int) -> int:
    """Everything below node `top` is below node `root`; returns the number of nodes."""
    count, pairs = 0, [(top, root)]
    while pairs:
        a, b = pairs.pop()
        count += 1
        for name in ("visits", "value_sum", "reward", "discount"):
            of_old, of_new = (getattr(tree, name).view(-1, tree.slots)[node] for tree, node in ((old, a), (new, b)))
            assert torch.equal(of_old, of_new)
        if b != root:
            assert int(old.choice[a]) % old.slots == int(new.choice[b]) % new.slots
            assert int(new.choice[b]) // new.slots == b
            for into, values in new.states.stored_with(old.states):
                assert torch.equal(into[b], values[a])
            assert torch.equal(new.prior[b], old.prior[a])
            assert new.actions is None or torch.equal(new.actions[b], old.actions[a])  # type: ignore[index]
        below = children(old, a), children(new, b)
        assert below[0].keys() == below[1].keys()
        pairs += [(below[0][slot], below[1][slot]) for slot in below[0]]
    return count


@pytest.mark.parametrize("name", ["go", pytest.param("chess", marks=pytest.mark.slow)])
def test_the_subtree_is_the_one_below_the_move_and_its_states_are_those_of_the_game(name: str) -> None:
    game = small(name)
    dynamics = GameDynamics(game, hashed(game.num_actions))
    ids = torch.arange(6)
    search = PuctSearch(simulations=30, solver=True)
    first = dynamics.root(game.sample_initial(0, ids), game_id=ids, ply=ids * 0)
    decision = search.decide(first, dynamics=dynamics, seed=0)
    states = game.step(first.state, decision.result.action)
    second = dynamics.root(states, game_id=ids, ply=ids * 0 + 1)
    same = ids != 5
    new = subtrees(decision.tree, second, decision.slot, same, kept=30, room=30)
    for row in range(5):
        top = int(node_behind(decision.tree.child[row * new.slots + int(decision.slot[row])]))
        assert assert_same_subtree(decision.tree, top, new, row) == 1 + int(
            (new.visits.view(-1, 6, new.slots)[0, row]).sum()
        )
    assert not new.visits.view(-1, 6, new.slots)[:, 5].any()
    # A search that goes on from there reads the states of the nodes, with what they remember.
    search.decide(second, dynamics=dynamics, seed=0, inherited=new)
    for node, slot, child in [(0, *edge) for edge in children(new, 0).items()]:
        nodes = torch.tensor([child]).expand(6) // 6 * 6 + ids
        path = torch.stack([ids, nodes])
        reached = game.step(
            states, new.action_of(torch.tensor([node * new.slots + slot]), torch.tensor([node])).expand(6)
        )
        for a, b in zip(new.states.read(nodes, path), reached, strict=True):
            assert torch.equal(a[0], b[0])


def test_a_tree_keeps_the_oldest_nodes_and_unexpands_the_edges_to_others() -> None:
    world = random_tables(6, states=40, actions=3, ended=0.05)
    search = PuctSearch(simulations=40, dirichlet_fraction=0.0)
    first = world.root(torch.arange(40))
    decision = search.decide(first, dynamics=world, seed=0, temperature=0.0)
    second = after(world, first, decision.result.action)
    everything = torch.ones(40, dtype=torch.bool)
    whole, cut = (subtrees(decision.tree, second, decision.slot, everything, kept=kept, room=0) for kept in (40, 5))
    end = 6 * 40 * 3
    kept = whole.child[:end]
    expected = torch.where(kept >= 6 * 40, UNEXPANDED, kept)
    assert torch.equal(cut.child, expected) and torch.equal(cut.visits, whole.visits[:end])
    assert (kept != expected).any() and (cut.child != ENDED).any()


@pytest.mark.parametrize("algorithm", ["gumbel", pytest.param("puct", marks=pytest.mark.slow)])
def test_self_play_with_tree_reuse_resumes_exactly(algorithm: str) -> None:
    settings = config(search={"algorithm": algorithm, "reuse_tree": True, "solver": True, "simulations": 8})
    game = settings.game.make()
    torch.manual_seed(0)
    net = make_network(settings, game)

    def actors() -> LocalActors:
        return LocalActors(game, settings, net, DEVICE)

    whole, stopped = actors(), actors()
    for one in (whole, stopped):
        one.poll()
    resumed = actors()
    resumed.load_state_dict(stopped.state_dict())
    for one in (whole, resumed):
        one.publish(1, net)
    assert_same_bits(whole.poll(), resumed.poll())
    assert_same_bits(whole.state_dict(), resumed.state_dict())


def test_self_play_inherits_visits() -> None:
    settings = config(search={"algorithm": "puct", "reuse_tree": True, "simulations": 16})
    game = settings.game.make()
    actors = LocalActors(game, settings, make_network(settings, game), DEVICE)
    visits: list[Any] = []
    search = actors.groups[0].search
    assert isinstance(search, TreeReuse)
    for _ in range(3):
        actors.groups[0].move(0)
        assert search._last is not None
        visits.append(search._last.tree.root_stats().visits.sum(-1))
    assert (visits[0] == 16).all() and (visits[1] > 16).any()
    actors.poll()
    assert search._last is not None and search._last.tree.batch == 8
