"""Searches with a network that knows nothing find forced wins and blocks, and play tic-tac-toe perfectly."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_agent, make_network
from agents.games import make
from agents.games.game import Game, where
from agents.games.line_game import LineGame
from agents.search import GumbelSearch, PuctSearch, Search, SearchResult
from agents.search.cache import EvaluationCache
from agents.search.dynamics import GameDynamics
from agents.search.simulation import Descend, descend_fixed_length, descend_to_leaves
from tests.agents.small_alphazero import DEVICE, config

CPU = torch.device("cpu")


def know_nothing(actions: int) -> Any:
    """Evaluator of equal priors and even chances."""

    def evaluate(observation: Tensor) -> tuple[Tensor, Tensor]:
        return observation.new_zeros(len(observation), actions), observation.new_zeros(len(observation))

    return evaluate


def play(game: Game, lines: Sequence[Sequence[int]], device: torch.device = CPU) -> Any:
    """The boards after these sequences of actions."""
    state = game.initial(len(lines), device)
    for ply in range(max(map(len, lines), default=0)):
        action = torch.tensor([line[ply] if ply < len(line) else 0 for line in lines], device=device)
        playing = torch.tensor([ply < len(line) for line in lines], device=device)
        state = where(playing, game.step(state, action), state)
    return state


def think(
    game: Game,
    search: Search,
    state: Any,
    temperature: float = 0.0,
    cached: bool = False,
    fixed_shapes: bool = False,
) -> SearchResult:
    actions = game.num_actions
    cache = EvaluationCache(2**12, actions, CPU) if cached else None
    dynamics = GameDynamics(game, know_nothing(actions), cache=cache, fixed_shapes=fixed_shapes)
    boards = torch.arange(len(state[0]), device=state[0].device)
    root = dynamics.root(state, game_id=boards, ply=boards)
    return search(root, dynamics=dynamics, seed=0, temperature=temperature)


def name_of(search: object) -> str:
    return type(search).__name__


def both(simulations: int) -> list[Search]:
    return [GumbelSearch(simulations=simulations), PuctSearch(simulations=simulations)]


# Columns from 0. The first player is to move after an even number of moves.
FORCED = {
    "wins along a row": ([0, 0, 1, 1, 2, 2], {3}),
    "wins in a gap": ([0, 0, 1, 1, 3, 3], {2}),
    "wins along a diagonal": ([0, 1, 1, 2, 3, 2, 2, 3, 3, 0], {3}),
    "wins as the second player": ([0, 1, 0, 1, 2, 1, 2], {1}),
    "blocks upwards": ([0, 1, 0, 2, 0], {0}),
    "blocks along a row": ([0, 0, 1, 1, 2], {3}),
    "wins rather than blocks": ([0, 6, 0, 6, 0, 6], {0}),
    "makes two threats at once": ([2, 2, 3, 3], {1, 4}),
}


@pytest.mark.parametrize("search", both(256), ids=name_of)
@pytest.mark.parametrize("cached", [False, True])
def test_forced_moves_in_connect_four(search: Search, cached: bool) -> None:
    game = make("connect_four")
    state = play(game, [line for line, _ in FORCED.values()])
    actions = think(game, search, state, cached=cached).action.tolist()
    wrong = {name: a for (name, (_, right)), a in zip(FORCED.items(), actions, strict=True) if a not in right}
    assert not wrong


@pytest.mark.parametrize("search", both(500), ids=name_of)
def test_an_open_row_is_closed_before_it_makes_two_threats(search: Search) -> None:
    # Stones in columns 2 and 3 of the bottom row, and column 0 taken: a third in column 4 would threaten 1
    # and 5.
    game = make("connect_four")
    assert think(game, search, play(game, [[3, 0, 2]]), cached=True).action.item() in {1, 4, 5}


@pytest.mark.parametrize("search", both(32), ids=name_of)
def test_a_win_at_once_takes_nearly_all_of_the_policy_whatever_the_noise(
    search: Search,
) -> None:
    game = make("connect_four")
    result = think(game, search, play(game, [[0, 1, 0, 1, 0, 1]] * 64), temperature=1.0)
    assert (result.policy.argmax(-1) == 0).all()
    assert (result.value > 0.5).all()


@pytest.mark.parametrize("cached", [False, True])
def test_moves_that_end_the_game_are_not_evaluated(cached: bool) -> None:
    game = make("connect_four")
    rows = 0

    def evaluate(observation: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal rows
        rows += len(observation)
        return observation.new_zeros(len(observation), 7), observation.new_zeros(len(observation))

    state = play(game, [[0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 2, 1], [0, 1, 0, 1, 0, 1]])
    dynamics = GameDynamics(game, evaluate, cache=EvaluationCache(64, 7, CPU) if cached else None)
    leaf = dynamics(state, torch.tensor([0, 0, 4]), torch.ones(3, dtype=torch.bool))
    assert leaf.ended.tolist() == [True, False, False]
    assert leaf.reward.tolist() == [1.0, 0.0, 0.0]
    assert leaf.discount.tolist() == [0.0, -1.0, -1.0]
    assert rows == 2


Board = tuple[int, ...]
LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))


def moved(board: Board, action: int) -> Board:
    """The board after the mover (+1) takes a cell, seen by the next to move."""
    return tuple(-c for c in (*board[:action], 1, *board[action + 1 :]))


@cache
def minimax(board: Board) -> int:
    """The outcome for the side to move, whose stones are +1: 1, 0 or -1."""
    if any(all(board[c] == -1 for c in line) for line in LINES):
        return -1
    moves = [a for a in range(9) if board[a] == 0]
    return max((-minimax(moved(board, a)) for a in moves), default=0)


def reachable() -> dict[Board, list[int]]:
    """Every position in which somebody is to move, with moves that lead to it."""
    found: dict[Board, list[int]] = {}
    frontier: list[tuple[Board, list[int]]] = [((0,) * 9, [])]
    while frontier:
        board, line = frontier.pop()
        lost = any(all(board[c] == -1 for c in cells) for cells in LINES)
        if board not in found and not lost and 0 in board:
            found[board] = line
            frontier += [(moved(board, a), [*line, a]) for a in range(9) if board[a] == 0]
    return found


def blunders(search: Search, positions: Sequence[tuple[Board, list[int]]]) -> list[Board]:
    """Positions in which the action chosen gives minimax value away."""
    game = make("tic_tac_toe")
    state = play(game, [line for _, line in positions])
    actions = think(game, search, state, cached=True).action.tolist()
    return [
        board
        for (board, _), action in zip(positions, actions, strict=True)
        if -minimax(moved(board, action)) != minimax(board)
    ]


def positions_after(fewest: int, most: int) -> list[tuple[Board, list[int]]]:
    """Reachable positions with this many stones."""
    return [item for item in reachable().items() if fewest <= len(item[1]) <= most]


def test_all_positions_of_tic_tac_toe_are_found() -> None:
    # 5478 positions can be reached; 942 are won and 16 are drawn.
    assert len(reachable()) == 5478 - 942 - 16


@pytest.mark.parametrize("search", both(256), ids=name_of)
def test_tic_tac_toe_is_played_perfectly(search: Search) -> None:
    assert not blunders(search, positions_after(4, 8)[::20])


@pytest.mark.slow
@pytest.mark.parametrize("search", both(400), ids=name_of)
def test_tic_tac_toe_is_played_perfectly_from_every_position_of_four_stones_on(
    search: Search,
) -> None:
    assert not blunders(search, positions_after(4, 8))


@pytest.mark.slow
def test_the_opening_of_tic_tac_toe_is_played_perfectly_with_enough_simulations() -> None:
    # PUCT alone: sequential halving drops what looks worse at first, and some of these refutations are deep.
    assert not blunders(PuctSearch(simulations=1600), positions_after(0, 3))


@pytest.mark.parametrize("search", both(6), ids=name_of)
@pytest.mark.parametrize("name", ["connect_four", "tic_tac_toe"])
def test_with_fixed_shapes_a_search_never_looks_at_the_data(search: Search, name: str) -> None:
    # Tensors on the meta device have shapes and no contents: reading one back, or a shape that depends on
    # one, fails.
    game = make(name)
    meta = torch.device("meta")
    fixed = replace(search, descend=descend_fixed_length)
    result = think(game, fixed, game.initial(4, meta), temperature=1.0, fixed_shapes=True)
    assert result.policy.shape == (4, game.num_actions)
    assert {field.device.type for field in result} == {"meta"}


def test_the_test_above_would_notice() -> None:
    game = make("connect_four")
    with pytest.raises(RuntimeError, match="meta"):
        think(game, GumbelSearch(simulations=6), game.initial(4, torch.device("meta")), fixed_shapes=True)


@pytest.mark.parametrize("search", both(16), ids=name_of)
def test_a_board_that_is_over_disturbs_no_other(search: Search) -> None:
    game = make("connect_four")
    won = [0, 1, 0, 1, 0, 1, 0]
    mixed = think(game, search, play(game, [won, [3], won]))
    assert all(field.isfinite().all() for field in mixed)
    legal = game.legal(play(game, [won, [3], won]))
    assert (mixed.visits[1][~legal[1]] == 0).all()
    assert mixed.visits[1].sum() == 16


def test_a_bound_on_the_depth_at_the_longest_line_of_play_changes_nothing() -> None:
    game = make("tic_tac_toe")
    states = game.initial(3, CPU)
    for cell in (4, 0, 8, 2):  # five plies are left, far fewer than simulations
        states = game.step(states, torch.full((3,), cell))

    def flat(observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(observation), 9), torch.zeros(len(observation))

    ids = torch.arange(3)
    found = []
    fixed = [partial(descend_fixed_length, max_depth=depth) for depth in (None, 9, 5)]
    descents: list[Descend] = [descend_to_leaves, *fixed]
    for descend in descents:
        search = GumbelSearch(simulations=64, descend=descend)
        dynamics = GameDynamics(game, flat, fixed_shapes=descend is not descend_to_leaves)
        found.append(search(dynamics.root(states, game_id=ids, ply=states.plies), dynamics=dynamics, seed=0))
    for other in found[1:]:
        assert torch.equal(other.visits, found[0].visits)
        assert torch.equal(other.action, found[0].action)
        torch.testing.assert_close(other.policy, found[0].policy)


def test_a_discount_makes_later_values_count_less() -> None:
    # Any two stones side by side make a line, so that the first player wins with the third ply, and not before.
    game = LineGame("pairs", 3, 3, 2, gravity=False)
    state = game.initial(1, CPU)
    for discount in (1.0, 0.5):
        dynamics = GameDynamics(game, know_nothing(game.num_actions), discount=discount)
        numbers = torch.zeros(1, dtype=torch.int64)
        root = dynamics.root(state, game_id=numbers, ply=numbers)
        result = PuctSearch(simulations=500, dirichlet_fraction=0.0)(root, dynamics=dynamics, seed=0)
        # The reward is that of the third ply; two plies discount it.
        assert float(result.q.max()) == pytest.approx(discount**2, rel=0.15)


def test_the_configured_discount_is_that_of_self_play_and_of_agents() -> None:
    settings = config(search={"discount": 0.9})
    net = make_network(settings, settings.game.make())
    actors = LocalActors(settings.game.make(), settings, net, DEVICE)
    assert actors.groups[0].dynamics.discount == make_agent("a", settings, net, DEVICE).dynamics().discount == 0.9
