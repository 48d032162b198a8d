"""One board as plain text, terminal text and an image."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from agents.games import make
from agents.games.board import EMPTY, board_of, plain_text, terminal_text, winning_cells
from agents.games.board_image import board_image, save_board
from agents.games.moves import state_after

CPU = torch.device("cpu")
FOUR, THREE = make("connect_four"), make("tic_tac_toe")


def test_owner_of_a_stone_is_the_player_who_placed_it_not_the_player_to_move() -> None:
    for moves in ("51", "519"):
        board = board_of(THREE, state_after(THREE, moves, CPU))
        assert board.owners[1][1] == 0 and board.owners[0][0] == 1
        assert board.owners[0][1] == EMPTY


def test_one_board_of_a_batch_is_the_board_alone() -> None:
    one = state_after(FOUR, "443", CPU)
    batch = FOUR.step(FOUR.initial(3, CPU), torch.tensor([1, 2, 3]))
    assert board_of(FOUR, batch, index=2) == board_of(FOUR, state_after(FOUR, "4", CPU))
    assert board_of(FOUR, batch, index=2) != board_of(FOUR, one)


def test_the_last_move_is_the_cell_that_changed() -> None:
    board = board_of(FOUR, state_after(FOUR, "443", CPU), previous=state_after(FOUR, "44", CPU))
    assert board.last == (5, 2)


def test_terminal_text_marks_the_last_move() -> None:
    state, before = state_after(FOUR, "3", CPU), FOUR.initial(1, CPU)
    lines = terminal_text(board_of(FOUR, state, previous=before)).plain.splitlines()
    assert lines[0] == "  1  2  3  4  5  6  7 "
    assert lines[-2] == "│ ·  · (●) ·  ·  ·  · │"


def test_winning_cells_are_those_of_every_complete_line() -> None:
    cross = [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert winning_cells(cross, 3) == {(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)}
    anti = [[EMPTY, EMPTY, 1], [EMPTY, 1, EMPTY], [1, EMPTY, EMPTY]]
    assert winning_cells(anti, 3) == {(0, 2), (1, 1), (2, 0)}
    assert winning_cells([[EMPTY] * 3] * 3, 3) == set()


def test_plain_text_is_what_the_game_renders() -> None:
    state = state_after(FOUR, "4431", CPU)
    assert plain_text(board_of(FOUR, state)) == FOUR.render(state, 0)


def test_a_winning_line_has_rings_in_the_picture() -> None:
    won = board_of(FOUR, state_after(FOUR, "1212121", CPU))
    ring = (board_image(won) == np.array([92, 184, 92])).all(2)
    rows, columns = np.nonzero(ring)
    height, width = ring.shape
    assert rows.min() > height / 6 and columns.max() < width / 6


def test_a_picture_is_saved_as_png(tmp_path: Path) -> None:
    board = board_of(THREE, state_after(THREE, "51", CPU))
    save_board(tmp_path / "board.png", board)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "board.png")), board_image(board))
