"""Facts of Breakthrough: moves, ends, names, boards as text and image."""

import pytest
import torch

from agents import games
from agents.games import test_game as check_game
from agents.games.breakthrough import Breakthrough, BreakthroughState
from agents.games.moves import legal_names, state_after
from lab.errors import UserError

CPU = torch.device("cpu")


def position(board: str, mover: int) -> tuple[Breakthrough, BreakthroughState]:
    """The game and state of a board as `render` draws it, without coordinates."""
    rows = [line.split() for line in board.strip().splitlines()]
    cells = torch.tensor([[{"X": 1, "O": -1, ".": 0}[sign] for sign in row] for row in rows], dtype=torch.int8)
    game = Breakthrough(*cells.shape)
    if mover:
        cells = -cells.flip(0)
    state = game.initial(1, CPU)._replace(cells=cells.flatten()[None], plies=torch.tensor([20 + mover]))
    return game, state


@pytest.mark.parametrize(
    ("rows", "columns", "boards"),
    [pytest.param(8, 8, 4, marks=pytest.mark.slow), (6, 6, 24), (4, 4, 48), (5, 7, 16), (7, 5, 16)],
)
def test_the_invariants_of_every_game_hold(rows: int, columns: int, boards: int) -> None:
    check_game(Breakthrough(rows, columns), boards=boards)


def test_a_pawn_steps_to_three_cells_and_captures_only_diagonally() -> None:
    board = """
        . . . . O
        . O O O .
        . . X . .
        . X . X .
        . . . . ."""
    game, state = position(board, 0)
    names = {"b2b3", "b2a3", "d2d3", "d2e3", "c3xb4", "c3xd4"}
    assert set(legal_names(game, state)) == names
    game, state = position(board, 1)
    names = {"e5e4", "b4b3", "b4a3", "b4xc3", "c4b3", "c4d3", "d4d3", "d4e3", "d4xc3"}
    assert set(legal_names(game, state)) == names


@pytest.mark.parametrize("mover", [0, 1])
def test_the_far_row_wins(mover: int) -> None:
    board = """
        . . . . .
        X . . . .
        . . . . .
        O . . . .
        . . . . ."""
    game, state = position(board, mover)
    after = game.step(state, torch.tensor([game.find_move(state, ["a4a5", "a2a1"][mover])]))
    assert bool(game.done(after)) and game.reward(after)[0, mover] == 1


@pytest.mark.parametrize("mover", [0, 1])
def test_the_capture_of_the_last_pawn_wins(mover: int) -> None:
    board = """
        . . . . .
        . . O . .
        . X . . .
        . . . . .
        . . . . ."""
    game, state = position(board, mover)
    action = game.find_move(state, ["b3xc4", "c4xb3"][mover])
    after = game.step(state, torch.tensor([action]))
    assert bool(game.done(after)) and game.reward(after)[0, mover] == 1
    other = game.step(state, torch.tensor([game.find_move(state, ["b3b4", "c4c3"][mover])]))
    assert not bool(game.done(other))


def test_boards_of_four_and_five_rows_have_one_row_of_pawns() -> None:
    for rows, pawns in ((4, 5), (5, 5), (6, 10), (8, 10)):
        game = Breakthrough(rows, 5)
        assert game.observe(game.initial(1, CPU)).sum((2, 3)).tolist() == [[pawns, pawns]]


def test_moves_have_names_of_both_cells() -> None:
    game = Breakthrough(6, 6)
    state = game.initial(1, CPU)
    assert "a2a3" in legal_names(game, state) and "b2a3" in legal_names(game, state)
    state = state_after(game, "b2b3 a5a4", CPU)
    captures = [game.find_move(state, text) for text in ("b3xa4", "b3a4", " B3-A4 ", "b3:a4")]
    assert len(set(captures)) == 1 and captures[0] is not None
    assert game.move_name(state, captures[0]) == "b3xa4"
    assert game.find_move(state, "a4xb3") is game.find_move(state, "b3") is game.find_move(state, "b3c5") is None
    with pytest.raises(UserError, match="move 2, a2a3, is illegal in breakthrough"):
        state_after(game, "b2b3 a2a3", CPU)


def test_columns_with_the_letter_x_are_read() -> None:
    game = Breakthrough(6, 26)
    state = game.initial(1, CPU)
    for text, name in {"w2x3": "w2x3", "w2-x3": "w2x3", "x2x3": "x2x3", "x2w3": "x2w3"}.items():
        action = game.find_move(state, text)
        assert action is not None and game.move_name(state, action) == name


def test_the_board_as_text_has_coordinates_the_last_move_and_captures() -> None:
    game = Breakthrough(4, 4)
    assert game.render(state_after(game, "b1b2 a4a3 c1c2 a3xb2", CPU), 0) == "\n".join(
        [
            "4 . O O O",
            "3(.). . .",
            "2 .(O)X .",
            "1 X . . X",
            "  a b c d",
            "X captured 0, O captured 1; X to move",
        ]
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("d3d4", "d3 has no pawn of X"),
        ("b5a4", "b5 has no pawn of X"),
        ("b2b4", "a pawn steps to the next row, straight or diagonally"),
        ("b2d3", "a pawn steps to the next row, straight or diagonally"),
        ("b1b2", "b2 has a pawn of the same side"),
        ("b3b4", "a pawn captures diagonally, not straight"),
        ("a2a9", "the cell is not on the board"),
    ],
)
def test_why_a_move_is_illegal(text: str, why: str) -> None:
    game = Breakthrough(6, 6)
    with pytest.raises(UserError, match=f"move 5, {text}, is illegal in breakthrough: {why}"):
        state_after(game, f"c2b3 b5b4 a2a3 f5f4 {text}", CPU)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 3}, "breakthrough: rows and columns must be from 4 to 26, not 3x8"),
        ({"columns": 27}, "breakthrough: rows and columns must be from 4 to 26, not 8x27"),
        ({"rows": "8"}, "breakthrough: option rows must be int, not '8'"),
        ({"size": 8}, "breakthrough has no option 'size'; its options are: rows, columns"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        games.make("breakthrough", **options)
