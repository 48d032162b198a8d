"""The compiled search equals the tensor form bit for bit: on random trees, on games, and where numba is missing."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from agents.games import make
from agents.games.random_play import RandomPlay
from agents.search import GumbelSearch, PuctSearch, Search, SearchResult
from agents.search.cache import EvaluationCache
from agents.search.dynamics import GameDynamics
from agents.search.growing import GrowingTree
from agents.search.gumbel import InteriorChoice
from agents.search.simulation import descend_fixed_length, descend_to_leaves, grow
from agents.search.tree import Tree
from lab import jit
from tests.agents.small_alphazero import hashed
from tests.agents.table_dynamics import random_tables

if jit.available(10**6):
    from agents.search.kernels.simulation import compiled_simulation

CPU = torch.device("cpu")
needs_numba = pytest.mark.skipif(not jit.available(10**6), reason="numba is not installed")
SEARCHES: list[Search] = [
    GumbelSearch(simulations=40, max_considered_actions=6),
    GumbelSearch(simulations=9, gumbel_scale=0.0, value_scale=0.9),
    PuctSearch(simulations=40, fpu_reduction=0.2),
    PuctSearch(simulations=9, dirichlet_fraction=0.0),
]


def name_of(search: object) -> str:
    return f"{type(search).__name__}-{search.simulations}"  # type: ignore[attr-defined]


@pytest.fixture
def in_both_forms(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a function with kernels and without, and hands back both results."""

    def run(function: Any) -> tuple[Any, Any]:
        compiled = function()
        with monkeypatch.context() as patch:
            patch.setattr(jit, "available", lambda rows: False)
            return compiled, function()

    return run


def equal(compiled: SearchResult, reference: SearchResult) -> bool:
    return all(torch.equal(*pair) for pair in zip(compiled, reference, strict=True))


@needs_numba
@pytest.mark.parametrize("search", SEARCHES, ids=name_of)
@pytest.mark.parametrize("actions", [2, 3, 7, 9, 40])
def test_a_search_of_random_worlds_is_equal(search: Search, actions: int, in_both_forms: Any) -> None:
    world = random_tables(seed=actions, states=60, actions=actions, general=True)
    root = world.root(torch.arange(60))
    assert equal(*in_both_forms(lambda: search(root, dynamics=world, seed=3, temperature=1.0)))


@needs_numba
@pytest.mark.parametrize(
    ("name", "options"),
    [("connect_four", {}), ("othello", {"size": 4}), ("hex", {"size": 4}), ("go", {"size": 5}), ("breakthrough", {})],
)
@pytest.mark.parametrize("search", SEARCHES[::2], ids=name_of)
def test_a_search_of_a_game_is_equal(name: str, options: dict[str, Any], search: Search, in_both_forms: Any) -> None:
    # Othello and Breakthrough have slots, Go a history; some boards are over.
    game = make(name, **options)
    play = RandomPlay(game, 6, CPU)
    for _ in range(9):
        play()
    ids = torch.arange(6)

    def searched() -> SearchResult:
        dynamics = GameDynamics(game, hashed(game.num_actions), cache=EvaluationCache(64, game.num_slots, CPU))
        root = dynamics.root(play.state, game_id=ids, ply=ids)
        return search(root, dynamics=dynamics, seed=1, temperature=1.0)

    assert equal(*in_both_forms(searched))


@needs_numba
@pytest.mark.parametrize("search", SEARCHES[::2], ids=name_of)
def test_every_array_of_the_trees_is_equal(search: Search, in_both_forms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # But for `choice`: the kernels compute choices when they are needed and do not store them.
    trees: list[Tree] = []
    allocate = Tree.allocate

    def kept(*given: Any, **how: Any) -> Tree:
        trees.append(allocate(*given, **how))
        return trees[-1]

    monkeypatch.setattr(Tree, "allocate", kept)
    game, ids = make("tic_tac_toe"), torch.arange(8)

    def searched() -> Tree:
        dynamics = GameDynamics(game, hashed(9))
        root = dynamics.root(game.initial(8, CPU), game_id=ids, ply=ids * 0)
        search(root, dynamics=dynamics, seed=1)
        return trees[-1]

    compiled, reference = in_both_forms(searched)
    for name in ("visits", "value_sum", "child", "reward", "discount", "logits", "prior", "value"):
        assert torch.equal(getattr(compiled, name), getattr(reference, name)), name
    for ours, theirs in zip(compiled.states.fields, reference.states.fields, strict=True):
        assert torch.equal(ours, theirs)


@needs_numba
def test_a_growing_tree_is_equal(in_both_forms: Any) -> None:
    game, one = make("go", size=5), torch.zeros(1, dtype=torch.int64)

    def lines() -> Any:
        dynamics = GameDynamics(game, hashed(game.num_actions))
        root = dynamics.root(game.initial(1, CPU), game_id=one, ply=one)
        tree = GrowingTree(root, dynamics=dynamics, search=PuctSearch(simulations=0), most=300)
        while not tree.full:
            tree.simulate()
        return tree.lines(), tree.deepest, tree.mean_depth

    compiled, reference = in_both_forms(lines)
    assert compiled == reference


@needs_numba
def test_a_board_does_not_depend_on_its_batch() -> None:
    world = random_tables(seed=4, states=50, actions=9)
    search, ids = SEARCHES[0], torch.arange(50)
    together = search(world.root(ids), dynamics=world, seed=1)
    alone = search(world.root(ids[17:18], game_id=ids[17:18], ply=ids[17:18]), dynamics=world, seed=1)
    assert all(torch.equal(whole[17:18], one) for whole, one in zip(together, alone, strict=True))


@needs_numba
@pytest.mark.parametrize(
    ("root_choice", "interior_choice", "descend"),
    [
        pytest.param(None, PuctSearch(simulations=1).choice, None, id="a root choice of its own"),
        pytest.param(PuctSearch(simulations=1).choice, lambda stats: stats.visits.argmin(-1), None, id="an interior"),
        pytest.param(PuctSearch(simulations=1).choice, PuctSearch(simulations=1, c_init=9.0).choice, None, id="two"),
        pytest.param(None, InteriorChoice(0.1, 50.0, 7.0), None, id="half of Gumbel"),
        pytest.param(
            PuctSearch(simulations=1).choice, PuctSearch(simulations=1).choice, descend_fixed_length, id="fixed length"
        ),
    ],
)
def test_other_compositions_run_in_the_tensor_form(root_choice: Any, interior_choice: Any, descend: Any) -> None:
    world = random_tables(seed=1, states=20, actions=4)
    own = root_choice or (lambda stats, simulation: stats.visits.argmin(-1))
    given = {"root_choice": own, "interior_choice": interior_choice, "descend": descend or descend_to_leaves}
    tree = Tree.allocate(world.root(torch.arange(20)), 8)
    assert compiled_simulation(tree, dynamics=world, **given) is None
    grown = grow(world.root(torch.arange(20)), dynamics=world, simulations=8, **given)
    assert grown.root_stats().visits.sum() == 160


def test_without_numba_the_tensor_form_runs() -> None:
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "import torch; from agents.search import PuctSearch; from agents.games import make\n"
        "from agents.search.dynamics import GameDynamics\n"
        "game, ids = make('connect_four'), torch.arange(100)\n"
        "dynamics = GameDynamics(game, lambda seen: (torch.zeros(len(seen), 7), torch.zeros(len(seen))))\n"
        "root = dynamics.root(game.initial(100, torch.device('cpu')), game_id=ids, ply=ids)\n"
        "print(int(PuctSearch(simulations=4)(root, dynamics=dynamics, seed=0).visits.sum()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["400"]
