"""One board as plain text, as terminal text and as an image."""

from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch

from agents.games import make
from agents.games.board import EMPTY, Board, Surface, plain_text
from agents.games.board_image import board_image
from agents.games.board_terminal import terminal_text
from agents.games.line_game import winning_cells
from agents.games.moves import state_after
from tests.agents.games.patrol import Patrol

CPU = torch.device("cpu")
FOUR, THREE = make("connect_four"), make("tic_tac_toe")
RING = (92, 184, 92)


def test_owner_of_a_stone_is_the_player_who_placed_it_not_the_player_to_move() -> None:
    for moves in ("51", "519"):
        board = THREE.board(state_after(THREE, moves, CPU))
        assert board is not None
        assert board.owners[1][1] == 0 and board.owners[0][0] == 1
        assert board.owners[0][1] == EMPTY


def test_one_board_of_a_batch_is_the_board_alone() -> None:
    one = state_after(FOUR, "443", CPU)
    batch = FOUR.step(FOUR.initial(3, CPU), torch.tensor([1, 2, 3]))
    assert FOUR.board(batch, 2) == FOUR.board(state_after(FOUR, "4", CPU))
    assert FOUR.board(batch, 2) != FOUR.board(one)


def test_the_last_move_is_the_cell_that_changed() -> None:
    board = FOUR.board(state_after(FOUR, "443", CPU), 0, state_after(FOUR, "44", CPU))
    assert board is not None and board.last == {(5, 2)}


def test_winning_cells_are_those_of_every_complete_line() -> None:
    cross = [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert winning_cells(cross, 3) == {(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)}
    anti = [[EMPTY, EMPTY, 1], [EMPTY, 1, EMPTY], [1, EMPTY, EMPTY]]
    assert winning_cells(anti, 3) == {(0, 2), (1, 1), (2, 0)}
    assert winning_cells([[EMPTY] * 3] * 3, 3) == set()


SMALL = Board(owners=[[0, EMPTY, 1], [EMPTY, EMPTY, 0]])


@pytest.mark.parametrize(
    ("board", "text"),
    [
        (SMALL, "X . O\n. . X"),
        (replace(SMALL, last=frozenset({(0, 0)})), "(X). O\n . . X"),
        (replace(SMALL, last=frozenset({(1, 2)})), " X . O\n . .(X)"),
        (replace(SMALL, column_names="123", status="X to move"), "X . O\n. . X\n1 2 3\nX to move"),
        (replace(SMALL, row_names=["10", "9"], column_names="abc"), "10 X . O\n 9 . . X\n   a b c"),
        (replace(SMALL, row_names="21", last=frozenset({(0, 0), (0, 1)})), "2(X(.)O\n1 . . X"),
        (replace(SMALL, signs=[["k", "", "Q"], ["", "", "p"]]), "k . Q\n. . p"),
        (replace(SMALL, stars=frozenset({(0, 1), (1, 2)})), "X + O\n. . X"),
        (replace(SMALL, surface="hexagons", column_names="abc"), "X . O\n . . X\n  a b c"),
    ],
)
def test_plain_text(board: Board, text: str) -> None:
    assert plain_text(board) == text


def test_terminal_text_marks_the_last_move_and_names_what_is_empty() -> None:
    state, before = state_after(FOUR, "3", CPU), FOUR.initial(1, CPU)
    board = FOUR.board(state, 0, before)
    assert board is not None
    lines = terminal_text(board).plain.splitlines()
    assert lines[0] == "  1  2  3  4  5  6  7 "
    assert lines[-2] == "│ ·  · (●) ·  ·  ·  · │"
    three = THREE.board(state_after(THREE, "5", CPU))
    assert three is not None
    assert terminal_text(three, unicode=False).plain.splitlines()[1:3] == ["| 1  2  3 |", "| 4  X  6 |"]


def test_terminal_text_has_coordinates_and_the_status() -> None:
    board = replace(SMALL, row_names="21", column_names="abc", winning=frozenset({(0, 0)}), status="X wins")
    assert terminal_text(board, unicode=False).plain.splitlines() == [
        "    a  b  c ",
        "  +---------+",
        "2 |[X] .  O |",
        "1 | .  .  X |",
        "  +---------+",
        "X wins",
    ]


def test_rows_of_hexagons_move_to_the_right_in_the_terminal() -> None:
    board = replace(SMALL, surface="hexagons", row_names="12", column_names="abc")
    assert terminal_text(board, unicode=False).plain.splitlines() == ["    a  b  c ", "1 | X  .  O |", " 2 | .  .  X |"]


def pixels_of(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((image == np.array(colour)).all(2))


def test_a_winning_line_has_rings_in_the_picture() -> None:
    board = FOUR.board(state_after(FOUR, "1212121", CPU))
    assert board is not None
    ring = pixels_of(board_image(board), RING)
    rows, columns = np.nonzero(ring)
    height, width = ring.shape
    assert rows.min() > height / 6 and columns.max() < width / 6


@pytest.mark.parametrize("surface", get_args(Surface))
def test_every_surface_shows_stones_the_last_move_coordinates_and_the_status(surface: Surface) -> None:
    empty = Board(owners=[[EMPTY] * 4 for _ in range(3)], surface=surface)
    one = replace(empty, owners=[[EMPTY] * 4, [EMPTY, EMPTY, 0, EMPTY], [EMPTY] * 4])
    pictures = [board_image(board) for board in (empty, one, replace(one, last=frozenset({(1, 2)})))]
    assert len({picture.shape for picture in pictures}) == 1 and pictures[0].dtype == np.uint8
    for before, after in pairwise(pictures):
        down, right = np.nonzero((before != after).any(2))
        height, width = before.shape[:2]
        assert len(down) > 50
        # In the middle row, right of the middle.
        assert height / 4 < down.min() and down.max() < 3 * height / 4 and width / 3 < right.min()
    other = replace(one, owners=[[1 - owner if owner == 0 else owner for owner in row] for row in one.owners])
    assert (board_image(other) != pictures[1]).any()
    named = board_image(replace(one, row_names="321", column_names="abcd"))
    assert named.shape[0] > pictures[0].shape[0] and named.shape[1] > pictures[0].shape[1]
    told = board_image(replace(one, status="X to move"))
    strip = told[pictures[0].shape[0] :]
    assert len(strip) > 10 and len(np.unique(strip.reshape(-1, 3), axis=0)) > 2


def test_every_piece_of_chess_has_a_picture_of_its_own() -> None:
    images = []
    for sign in "kqrbnpKQRBNP":
        board = Board(owners=[[int(sign.islower())]], signs=[[sign]], surface="squares")
        images.append(board_image(board).tobytes())
    assert len(set(images)) == 12


@pytest.mark.parametrize("size", [1, 2, 19, 64])
@pytest.mark.parametrize("surface", get_args(Surface))
def test_boards_of_every_size_have_pictures_of_a_sensible_size(surface: Surface, size: int) -> None:
    image = board_image(Board(owners=[[EMPTY] * size for _ in range(size)], surface=surface))
    assert image.ndim == 3 and 50 < max(image.shape) < 1700


def test_a_hexagon_touches_its_neighbours_and_the_owners_have_their_edges() -> None:
    board = Board(owners=[[EMPTY] * 3 for _ in range(3)], surface="hexagons")
    image = board_image(board)
    red, blue = pixels_of(image, (206, 62, 56)), pixels_of(image, (52, 104, 186))
    assert red.any() and blue.any()
    rows, columns = (np.nonzero(red.any(axis))[0] for axis in (1, 0))
    # Red is above and below, blue is on the left and on the right.
    middle = slice(len(image) * 2 // 5, len(image) * 3 // 5)
    assert not red[middle].any() and blue[middle].any()
    assert rows.min() < 30 and rows.max() > len(image) - 30 and columns.min() < columns.max()


def test_a_game_that_has_only_a_text_is_pictured_by_it() -> None:
    game = Patrol()
    state = game.initial(1, CPU)
    first, second = (game.image(s) for s in (state, game.step(state, game.legal_actions(state)[:, 0])))
    assert first.dtype == np.uint8 and first.shape[2] == 3
    assert (first != second).any()
