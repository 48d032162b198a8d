"""Proofs in search trees, against exact solutions by minimax."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.arena.minimax import Solution, solve
from agents.games import make
from agents.games.game import Game, select
from agents.games.moves import state_after
from agents.search import GumbelSearch, PuctSearch, Search, SearchResult
from agents.search.dynamics import GameDynamics
from agents.search.growing import GrowingTree
from agents.search.memory import node_bytes
from agents.search.reuse import TreeReuse
from agents.search.simulation import descend_fixed_length, descend_to_leaves, grow
from agents.search.solver import inferior, is_proven, node_behind
from agents.search.tree import ENDED, Tree
from tests.agents.small_alphazero import CPU, hashed
from tests.agents.table_dynamics import Tables, random_tables

GAMES: list[tuple[str, dict[str, int]]] = [
    ("tic_tac_toe", {}),
    ("connect_four", {"rows": 3, "columns": 3, "length": 3}),
]
SLOW = pytest.mark.slow
BOTH: list[Search] = [GumbelSearch(simulations=32, solver=True), PuctSearch(simulations=32, solver=True)]


def name_of(search: Search) -> str:
    return type(search).__name__


@cache
def solved(number: int) -> tuple[Game, Solution, dict[int, int]]:
    """A game, its solution and the number of each position by key."""
    name, options = GAMES[number]
    game = make(name, **options)
    solution = solve(game)
    return game, solution, {key: n for n, key in enumerate(game.key(solution.states).tolist())}


def roots(solution: Solution, every: int) -> Tensor:
    """Numbers of running positions."""
    return (~solution.game.done(solution.states)).nonzero()[::every, 0]


def know_nothing(observation: Tensor) -> tuple[Tensor, Tensor]:
    return observation.new_zeros(len(observation), 9), observation.new_zeros(len(observation))


def root_of(game: Game, states: Any, ignorant: bool = False) -> tuple[Any, GameDynamics]:
    dynamics = GameDynamics(game, know_nothing if ignorant else hashed(game.num_actions))
    numbers = torch.arange(len(states[0]))
    return dynamics.root(states, game_id=numbers, ply=numbers), dynamics


def grown(game: Game, states: Any, simulations: int, discount: float = 1.0, ignorant: bool = False) -> Tree:
    search = PuctSearch(simulations=simulations)
    root, dynamics = root_of(game, states, ignorant)
    dynamics.discount = discount
    return grow(
        root,
        dynamics=dynamics,
        root_choice=lambda stats, simulation: search.choice(stats),
        interior_choice=search.choice,
        simulations=simulations,
        descend=descend_to_leaves,
        solver=True,
    )


@pytest.mark.parametrize("number", range(len(GAMES)))
def test_every_bound_of_every_edge_holds_what_minimax_says(number: int) -> None:
    game, solution, numbers = solved(number)
    index = roots(solution, 30)
    tree = grown(game, select(solution.states, index), 80)
    assert tree.proofs is not None
    made = torch.unique(
        torch.cat([torch.arange(len(index)), node_behind(tree.child[tree.child != ENDED])]).clamp_min(0)
    )
    position = torch.tensor([numbers[key] for key in game.key(select(tree.states.fields, made)).tolist()])
    children = solution.children[position]
    exact = -solution.score[children.clamp_min(0)].sign()  # players alternate
    lower, upper = tree.proofs.bounds(made, tree.slots)
    legal = children >= 0
    assert ((lower <= exact) & (exact <= upper))[legal].all()
    assert (lower == upper)[legal].float().mean() > 0.25


@pytest.mark.parametrize("search", BOTH, ids=name_of)
@pytest.mark.parametrize("number", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_proven_roots_have_the_exact_value_and_policies_of_optimal_moves(search: Search, number: int) -> None:
    game, solution, _ = solved(number)
    index = roots(solution, 30)
    root, dynamics = root_of(game, select(solution.states, index))
    result = replace(search, simulations=100)(root, dynamics=dynamics, seed=0)
    exact = solution.score[index].sign()
    after = torch.where(root.legal, -solution.score[solution.children[index].clamp_min(0)].sign(), -2)
    proven = result.value.abs() == 1.0
    assert proven.float().mean() > 0.5
    assert torch.equal(result.value[proven], exact[proven].float())
    wrong = result.policy * (after < exact[:, None])
    assert (wrong[proven] == 0).all()
    chosen = after.gather(1, result.action[:, None])[:, 0]
    assert torch.equal(chosen[proven], exact[proven])
    torch.testing.assert_close(result.policy.sum(-1), torch.ones(len(index)))


def won(simulations: int, solver: bool, search: Search) -> float:
    """Share of the won positions of tic-tac-toe whose move keeps the win, with a network of random answers."""
    game, solution, _ = solved(0)
    index = roots(solution, 1)
    decided = index[solution.score[index] > 0][::20]
    root, dynamics = root_of(game, select(solution.states, decided))
    how = replace(search, simulations=simulations, solver=solver)
    action = how(root, dynamics=dynamics, seed=0, temperature=0.0).action
    after = -solution.score[solution.children[decided].gather(1, action[:, None])[:, 0]]
    return float((after > 0).float().mean())


@pytest.mark.parametrize(
    "search",
    [
        GumbelSearch(simulations=1, gumbel_scale=0.0),
        pytest.param(PuctSearch(simulations=1, dirichlet_fraction=0.0), marks=SLOW),
    ],
    ids=["gumbel", "puct"],
)
def test_wins_are_found_with_fewer_simulations(search: Search) -> None:
    assert won(48, True, search) > won(48, False, search)
    assert won(100, True, search) > 0.9


def test_a_proven_edge_is_closed_and_needs_no_evaluation() -> None:
    game, _, _ = solved(0)
    # X wins at once with cell 3; every simulation after the first few visits a closed edge.
    state = state_after(game, "1 4 2 5", CPU)
    counts = []
    for solver in (False, True):
        root, dynamics = root_of(game, state)
        PuctSearch(simulations=100, dirichlet_fraction=0.0, solver=solver)(root, dynamics=dynamics, seed=0)
        counts.append(dynamics.counts.evaluated)
    assert counts[1] < counts[0] / 2


def test_a_draw_is_proven() -> None:
    game, solution, _ = solved(0)
    index = roots(solution, 1)
    plies = game.plies(solution.states)[index]
    drawn = index[(solution.score[index] == 0) & (plies >= 6)]
    tree = grown(game, select(solution.states, drawn), 40, ignorant=True)
    stats = tree.root_stats()
    assert stats.bounds is not None
    for bound in stats.bounds.of_nodes(stats.legal):
        assert (bound == 0).all()


def test_with_a_discount_the_sooner_of_two_wins_has_the_larger_value() -> None:
    game, _, _ = solved(0)
    tree = grown(game, state_after(game, "1 4 2 5", CPU), 80, discount=0.9)
    stats = tree.root_stats()
    assert stats.bounds is not None
    assert float(stats.bounds.lower.max()) == 1.0
    later = stats.bounds.lower[(stats.bounds.lower > 0) & (stats.bounds.lower < 1.0)]
    for value in later.tolist():
        assert value == pytest.approx(
            0.9 ** round(float(torch.log(torch.tensor(value)) / torch.log(torch.tensor(0.9))))
        )


def alternating(world: Tables, state: int, depth: int) -> float:
    """The value of a state of a world, by minimax to a depth at which nothing is known (NaN)."""
    best = -2.0
    unknown = False
    for action in (world.legal(torch.tensor([state]))[0]).nonzero()[:, 0].tolist():
        edge = (state, action)
        if bool(world.ended[edge]):
            value = float(world.reward[edge])
        elif depth == 0:
            value = torch.nan
        else:
            value = float(world.discount[edge]) * alternating(world, int(world.successor[edge]), depth - 1)
        unknown |= value != value
        best = max(best, value) if value == value else best
    return best if best == 1.0 or not unknown else torch.nan


def test_the_same_player_may_move_again() -> None:
    world = random_tables(3, states=30, actions=3, ended=0.5)
    again = torch.where(torch.rand(world.discount.shape, generator=torch.Generator().manual_seed(0)) < 0.5, -1.0, 1.0)
    world = replace(world, discount=world.discount * again)
    search = PuctSearch(simulations=80, dirichlet_fraction=0.0)
    tree = grow(
        world.root(torch.arange(30)),
        dynamics=world,
        root_choice=lambda stats, simulation: search.choice(stats),
        interior_choice=search.choice,
        simulations=80,
        descend=descend_to_leaves,
        solver=True,
    )
    stats = tree.root_stats()
    assert stats.bounds is not None
    lower, upper = (bound[:, 0] for bound in stats.bounds.of_nodes(stats.legal))
    exact = torch.tensor([alternating(world, state, 5) for state in range(30)])
    known = ~exact.isnan()
    assert ((lower <= exact) & (exact <= upper))[known].all()
    assert (is_proven(lower, upper) & known).sum() > 10


@pytest.mark.parametrize("search", [BOTH[0], pytest.param(BOTH[1], marks=SLOW)], ids=["gumbel", "puct"])
def test_a_row_alone_is_the_row_in_a_batch_and_depth_may_be_fixed(search: Search) -> None:
    world = random_tables(3, states=50, actions=4, ended=0.4)
    index = torch.arange(4)

    def run(how: Search, rows: Tensor) -> SearchResult:
        return how(world.root(index[rows], 100 + index[rows], index[rows]), dynamics=world, seed=7)

    together = run(search, index)
    fixed = run(replace(search, descend=descend_fixed_length), index)
    for a, b in zip(together, fixed, strict=True):
        assert torch.equal(a, b)
    for row in range(len(index)):
        for a, b in zip(run(search, index[row : row + 1]), together, strict=True):
            assert torch.equal(a[0], b[row])
    assert (together.visits.sum(-1) == search.simulations).all()


@pytest.mark.parametrize("search", BOTH, ids=name_of)
def test_without_ends_in_reach_proofs_change_nothing(search: Search) -> None:
    world = random_tables(5, states=50, actions=5, ended=0.0)
    root = world.root(torch.arange(50))
    with_, without = (replace(search, solver=on)(root, dynamics=world, seed=1) for on in (True, False))
    assert torch.equal(with_.visits, without.visits) and torch.equal(with_.action, without.action)
    torch.testing.assert_close(with_.policy, without.policy)


def test_a_growing_tree_settles_on_a_proven_win_and_shows_its_line() -> None:
    game, _, _ = solved(0)
    # X at 1 and 5 against O at 2 and 9: X wins with two threats at once.
    root, dynamics = root_of(game, state_after(game, "1 2 5 9", CPU))
    tree = GrowingTree(
        root, dynamics=dynamics, search=PuctSearch(simulations=0, dirichlet_fraction=0.0, solver=True), most=5000
    )
    while not tree.settled(float("inf")):
        tree.simulate()
    line = tree.lines(1)[0]
    assert tree.simulations < 400 and line.value == 1.0 and len(line.actions) == 3
    state = root.state
    for action in line.actions:
        assert bool(game.legal(state)[0, action])
        state = game.step(state, torch.tensor([action]))


def test_forced_playouts_and_proofs_leave_a_whole_policy_without_lost_moves() -> None:
    world = random_tables(8, states=200, actions=4, ended=0.5)
    search = PuctSearch(simulations=12, forced_playouts=2.0, solver=True)
    decision = search.decide(world.root(torch.arange(200)), dynamics=world, seed=0)
    torch.testing.assert_close(decision.result.policy.sum(-1), torch.ones(200))
    assert not (decision.result.policy * inferior(decision.tree.root_stats())).any()


def test_bytes_of_trees_with_proofs_are_those_of_their_tensors() -> None:
    game = make("tic_tac_toe")
    tree = grown(game, game.initial(4, CPU), 5)
    assert tree.proofs is not None
    held = [value for value in vars(tree).values() if isinstance(value, Tensor)]
    held += [tree.proofs.lower, tree.proofs.upper]
    assert sum(tensor.nbytes for tensor in held) + tree.states.nbytes == 4 * 6 * node_bytes(game, solver=True)


@pytest.mark.slow
@pytest.mark.parametrize("search", BOTH, ids=name_of)
def test_with_a_fixed_depth_nothing_waits_for_the_device(search: Search) -> None:
    game, meta = make("tic_tac_toe"), torch.device("meta")
    dynamics = GameDynamics(game, know_nothing, fixed_shapes=True)
    numbers = torch.arange(4, device=meta)
    reusing = TreeReuse(replace(search, simulations=4, descend=descend_fixed_length))
    for ply in range(2):
        root = dynamics.root(game.initial(4, meta), game_id=numbers, ply=numbers + ply)
        result = reusing(root, dynamics=dynamics, seed=0)
    assert result.policy.shape == (4, 9)
