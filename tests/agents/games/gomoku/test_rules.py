"""Facts of Gomoku: rows of five and more, names of points, boards as text and image."""

import pytest
import torch

from agents import games
from agents.games import test_game as check_game
from agents.games.gomoku import Gomoku
from agents.games.line_game import LAST_MOVER_WON, RUNNING, LineState
from agents.games.moves import state_after
from lab.errors import UserError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("size", "exact", "boards"), [(6, False, 24), (7, True, 24)])
def test_the_invariants_of_every_game_hold(size: int, exact: bool, boards: int) -> None:
    check_game(Gomoku(size, exact), boards=boards)


def after_filling(row: str, exact: bool, direction: tuple[int, int]) -> int:
    """Outcome after the mover's stone at `?` of a row of x (mover), o and . that begins at the edge of the board."""
    game = Gomoku(9, exact)
    grid = torch.zeros(9, 9, dtype=torch.int8)
    down, right = direction
    cells = [((0 if down >= 0 else 8) + k * down, (0 if right >= 0 else 8) + k * right) for k in range(len(row))]
    for cell, sign in zip(cells, row, strict=True):
        grid[cell] = {"x": 1, "o": -1, ".": 0, "?": 0}[sign]
    place = cells[row.index("?")]
    state = LineState(grid.flatten()[None], torch.tensor([20]), torch.zeros(1, dtype=torch.int8))
    return int(game.step(state, torch.tensor([place[0] * 9 + place[1]])).outcome)


@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (1, 1), (1, -1), (0, -1), (-1, 0)])
@pytest.mark.parametrize(
    ("row", "freestyle", "standard"),
    [
        ("xxxx?", True, True),
        ("?xxxx", True, True),
        (".xx?xxo", True, True),
        ("oxxx?xo", True, True),
        ("xxx.x?xx", False, False),
        ("xxx?.xx", False, False),
        ("xxx?oxx", False, False),
        ("xxxx?x", True, False),
        ("xxx?xxx", True, False),
        ("xxxx?xxxx", True, False),
        ("o?xxxxxo", True, False),
        ("...?xxxxx", True, False),
    ],
)
def test_a_row_of_five_wins_and_a_longer_one_only_in_freestyle(
    row: str, freestyle: bool, standard: bool, direction: tuple[int, int]
) -> None:
    assert after_filling(row, False, direction) == (LAST_MOVER_WON if freestyle else RUNNING)
    assert after_filling(row, True, direction) == (LAST_MOVER_WON if standard else RUNNING)


def test_a_six_beside_a_five_wins_by_the_five() -> None:
    game = Gomoku(9, exact=True)
    grid = torch.zeros(9, 9, dtype=torch.int8)
    grid[4, :6] = 1
    grid[4, 2] = 0
    grid[:5, 2] = torch.tensor([1, 1, 1, 1, 0])
    state = LineState(grid.flatten()[None], torch.tensor([18]), torch.zeros(1, dtype=torch.int8))
    assert int(game.step(state, torch.tensor([4 * 9 + 2])).outcome) == LAST_MOVER_WON


def test_an_overline_that_did_not_win_is_rebuilt_as_a_running_game() -> None:
    game = Gomoku(9, exact=True)
    state = state_after(game, "a1 a9 b1 b9 c1 c9 e1 e9 f1 f9 d1", CPU)
    assert int(state.outcome) == RUNNING
    assert int(game.from_observation(game.observe(state)).outcome) == RUNNING
    won = state_after(game, "a1 a9 b1 b9 c1 c9 e1 e9 d1", CPU)
    assert int(won.outcome) == LAST_MOVER_WON == int(game.from_observation(game.observe(won)).outcome)


def test_points_have_letters_from_the_left_and_numbers_from_the_bottom() -> None:
    game = Gomoku()
    names = game.action_names
    assert (names[0], names[14], names[-1], names[7 * 15 + 7]) == ("a15", "o15", "o1", "h8")
    state = game.step(game.initial(1, CPU), torch.tensor([7 * 15 + 7]))
    assert game.find_move(state, " I9 ") == names.index("i9")
    assert game.find_move(state, "h8") is game.find_move(state, "p1") is None
    with pytest.raises(UserError, match="move 2, H8, is illegal in gomoku: the point is occupied"):
        state_after(game, "h8 H8", CPU)


def test_the_board_as_text_has_coordinates_and_the_last_move() -> None:
    game = Gomoku(5)
    assert game.render(state_after(game, "a1 c3 e5", CPU), 0, state_after(game, "a1 c3", CPU)) == "\n".join(
        [
            "5 . . . .(X)",
            "4 . . . . .",
            "3 . . O . .",
            "2 . . . . .",
            "1 X . . . .",
            "  a b c d e",
        ]
    )


def test_the_winning_row_is_marked_and_an_overline_that_does_not_win_is_not() -> None:
    moves = "a1 a9 b1 b9 c1 c9 e1 e9 f1 f9 d1"
    for exact, marked in ((False, 6), (True, 0)):
        board = Gomoku(9, exact).board(state_after(Gomoku(9), moves, CPU))
        assert len(board.winning) == marked and board.surface == "lines"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "gomoku: size must be from 5 to 19, not 4"),
        ({"size": 20}, "gomoku: size must be from 5 to 19, not 20"),
        ({"size": 9.0}, "gomoku: option size must be int, not 9.0"),
        ({"exact": 1}, "gomoku: option exact must be bool, not 1"),
        ({"length": 5}, "gomoku has no option 'length'; its options are: size, exact"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        games.make("gomoku", **options)
