"""Exact solutions against known counts, values and a plain recursive solver."""

from functools import cache

import pytest
import torch

from agents.arena.minimax import LineCounts, Solution, count_lines, solve
from agents.arena.positions import Positions
from agents.games import make
from lab.errors import UserError


@pytest.fixture(scope="module")
def tic_tac_toe() -> Solution:
    return solve(make("tic_tac_toe"))


def test_tic_tac_toe_has_5478_positions_by_ply(tic_tac_toe: Solution) -> None:
    assert tic_tac_toe.levels == [1, 9, 72, 252, 756, 1260, 1520, 1140, 390, 78]
    assert int(tic_tac_toe.game.done(tic_tac_toe.states).sum()) == 958


def test_tic_tac_toe_is_a_draw_whatever_the_first_move(tic_tac_toe: Solution) -> None:
    assert tic_tac_toe.score[0] == 0
    assert tic_tac_toe.positions().scores[0].tolist() == [0] * 9


LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


@cache
def negamax(own: frozenset[int], other: frozenset[int]) -> int:
    """Stones the winner has left, plus one, with a sign; on sets of cells, apart from the tensors."""
    if any(set(line) <= other for line in LINES):
        return -(1 + (9 - len(own) - len(other)) // 2)
    free = set(range(9)) - own - other
    return max((-negamax(other, own | {cell}) for cell in free), default=0)


def test_every_score_equals_a_plain_recursion(tic_tac_toe: Solution) -> None:
    for cells, score in zip(tic_tac_toe.states.cells.tolist(), tic_tac_toe.score.tolist(), strict=True):
        own = frozenset(c for c, stone in enumerate(cells) if stone == 1)
        other = frozenset(c for c, stone in enumerate(cells) if stone == -1)
        assert score == negamax(own, other)


def test_positions_score_each_move(tic_tac_toe: Solution) -> None:
    positions = tic_tac_toe.positions()
    assert len(positions) == 5478 - 958
    assert torch.equal(positions.scores != Positions.ILLEGAL, positions.game.legal(positions.states))
    running = ~tic_tac_toe.game.done(tic_tac_toe.states)
    assert torch.equal(positions.scores.amax(1), tic_tac_toe.score[running])


def perfect(solution: Solution) -> torch.Tensor:
    after = torch.where(solution.children >= 0, -solution.score[solution.children.clamp_min(0)], -(10**6))
    return after.argmax(1)


def test_a_perfect_policy_loses_no_line(tic_tac_toe: Solution) -> None:
    for side in (0, 1):
        lines = count_lines(tic_tac_toe, perfect(tic_tac_toe), side)
        assert lines.lost == 0
        assert lines.won > 0 and lines.drawn > 0


def test_the_first_free_cell_loses_some_lines(tic_tac_toe: Solution) -> None:
    first_free = (tic_tac_toe.children >= 0).to(torch.int64).argmax(1)
    assert count_lines(tic_tac_toe, first_free, 1).lost > 0


def test_lines_are_games_not_positions() -> None:
    # On 1x3 with two in a row, the first move in the middle wins after any of two replies.
    solution = solve(make("tic_tac_toe", rows=1, columns=3, length=2))
    middle_first = torch.where(solution.children[:, 1] >= 0, 1, (solution.children >= 0).to(torch.int64).argmax(1))
    assert count_lines(solution, middle_first, 0) == LineCounts(won=2, drawn=0, lost=0)


def test_connect_four_in_miniature_scores_the_winning_column() -> None:
    solution = solve(make("connect_four", rows=2, columns=3, length=2))
    assert solution.score[0] == (1 + (6 - 3) // 2)


def test_a_large_game_is_refused() -> None:
    with pytest.raises(UserError, match="more than 1,000 positions"):
        solve(make("connect_four"), limit=1000)
    with pytest.raises(UserError, match="more than 10,000 positions"):
        solve(make("connect_four", rows=4, columns=4))
