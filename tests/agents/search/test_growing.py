"""Growing trees: the same search as PUCT with a fixed number of simulations, in any number of steps."""

from typing import Any

import pytest
import torch

from agents.games import make
from agents.games.moves import state_after
from agents.search import PuctSearch, growing
from agents.search.dynamics import GameDynamics
from agents.search.growing import GrowingTree
from agents.search.root import Root
from tests.agents.small_alphazero import CPU, hashed
from tests.agents.small_games import small

SEARCH = PuctSearch(simulations=0, dirichlet_fraction=0.0)
ZERO = torch.zeros(1, dtype=torch.int64)


def prepared(name: str, moves: str = "") -> tuple[GameDynamics, Root]:
    game = small(name)
    dynamics = GameDynamics(game, hashed(game.num_actions))
    return dynamics, dynamics.root(state_after(game, moves, CPU), game_id=ZERO, ply=ZERO)


def grown(dynamics: GameDynamics, root: Root, simulations: int, **settings: int | list[int]) -> GrowingTree:
    tree = GrowingTree(root, dynamics=dynamics, search=SEARCH, **{"most": 10_000} | settings)  # type: ignore[arg-type]
    for _ in range(simulations):
        tree.simulate()
    return tree


@pytest.mark.parametrize(("name", "simulations"), [("tic_tac_toe", 30), ("go", 20), ("chess", 12)])
def test_visits_and_values_are_those_of_puct(name: str, simulations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Go with its history and of chess with its slots too, through several extensions of the storage."""
    monkeypatch.setattr(growing, "_FIRST_ROOM", 3)
    dynamics, root = prepared(name)
    tree = grown(dynamics, root, simulations)
    search = PuctSearch(simulations=simulations, dirichlet_fraction=0.0)
    result = search(root, dynamics=dynamics, seed=0, temperature=0.0)
    found: dict[int, Any] = {line.actions[0]: (line.visits, line.value) for line in tree.lines() if line.visits}
    slots = result.visits[0].nonzero()[:, 0]
    visits, q, actions = (values[0, slots].tolist() for values in (result.visits, result.q, result.actions))
    assert found == {a: (n, pytest.approx(v)) for a, n, v in zip(actions, visits, q, strict=True)}
    assert tree.lines()[0].actions[0] == int(result.action)


def test_a_line_is_legal_and_its_moves_are_expected_one_after_the_other() -> None:
    dynamics, root = prepared("tic_tac_toe", "5 1")
    game, state = dynamics.game, root.state
    line = grown(dynamics, root, 60).lines(1)[0]
    assert len(line.actions) > 2
    for action in line.actions:
        assert bool(game.legal(state)[0, action])
        state = game.step(state, torch.tensor([action]))


def test_a_move_that_wins_at_once_is_found_and_marked() -> None:
    line = grown(*prepared("tic_tac_toe", "1 4 2 5"), 30).lines(1)[0]
    assert line.actions == (2,) and line.wins and line.value == 1.0


def test_a_move_that_wins_at_once_comes_first_as_soon_as_it_was_seen() -> None:
    """X wins at the lower left, a move that the prior puts behind others: those have more visits then."""
    tree = grown(*prepared("tic_tac_toe", "1 2 4 3"), 0)
    while not any(line.wins for line in tree.lines()):
        tree.simulate()
    first, *others = tree.lines()
    assert first.wins and first.visits < max(line.visits for line in others)


def test_only_the_given_moves_are_considered() -> None:
    tree = grown(*prepared("tic_tac_toe"), 50, only=[3, 7])
    assert sorted(line.actions[0] for line in tree.lines()) == [3, 7] and tree.choices == 2
    assert sum(line.visits for line in tree.lines()) == 50


def test_without_simulations_the_prior_decides() -> None:
    dynamics, root = prepared("tic_tac_toe")
    lines = grown(dynamics, root, 0).lines()
    assert lines[0].actions == (int(root.logits.argmax()),) and lines[0].value == float(root.value)
    assert [line.prior for line in lines] == sorted((line.prior for line in lines), reverse=True)


def test_a_tree_is_full_after_most_simulations() -> None:
    tree = grown(*prepared("tic_tac_toe"), 5, most=5)
    assert tree.full and tree.fullness == 1.0


def test_settled_is_whether_the_second_move_cannot_catch_up() -> None:
    tree = grown(*prepared("tic_tac_toe"), 30)
    first, second = (line.visits for line in tree.lines(2))
    assert tree.settled(first - second - 1) and not tree.settled(first - second)


def test_a_growing_tree_has_one_root() -> None:
    dynamics = GameDynamics(make("tic_tac_toe"), hashed(9))
    ids = torch.zeros(2, dtype=torch.int64)
    root = dynamics.root(dynamics.game.initial(2, CPU), game_id=ids, ply=ids)
    with pytest.raises(ValueError, match="one root, not 2"):
        GrowingTree(root, dynamics=dynamics, search=SEARCH, most=1)
