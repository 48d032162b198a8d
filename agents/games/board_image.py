"""One board as an image, rendered with NumPy: shapes are signed distances in pixels, with soft edges."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.games.board import EMPTY, Board
from lab.plots.images import save_png

Colour = tuple[int, int, int]
Floats = NDArray[np.floating[Any]]

_PAPER, _RULE = (250, 247, 240), (196, 190, 178)
_RING = (92, 184, 92)
_FRAME, _HOLE, _RIM = (36, 84, 166), (228, 234, 244), (26, 64, 132)
_STONES: tuple[Colour, Colour] = ((214, 58, 52), (246, 196, 52))  # of discs; a darker shade is the rim
_MARKS: tuple[Colour, Colour] = ((43, 100, 178), (208, 74, 58))
_LARGEST, _CELL = 768, 96  # pixels: longest side of the image, largest cell


def board_image(board: Board) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] of a board; rings mark winning lines.

    With gravity a Connect Four frame with red (first) and yellow stones, else crosses (first) and noughts on paper.
    """
    owners = np.array(board.owners)
    rows, columns = owners.shape
    cell = max(16, min(_CELL, _LARGEST // max(rows, columns)))
    tiles = np.stack([_disc(cell, owner) if board.gravity else _mark(cell, owner) for owner in (EMPTY, 0, 1)])
    # [H, W, cell, cell, 3] -> [H * cell, W * cell, 3]
    pixels = tiles[owners + 1].swapaxes(1, 2).reshape(rows * cell, columns * cell, 3)
    for row, column in board.winning:
        _ring(pixels[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell])
    if not board.gravity:
        _lines(pixels, cell)
    return _framed(np.rint(pixels).astype(np.uint8), cell // 8, _FRAME if board.gravity else _PAPER)


def save_board(path: Path, board: Board) -> None:
    """Write a board as a PNG file."""
    save_png(path, board_image(board))


def _tile(cell: int, colour: Colour) -> Floats:
    return np.broadcast_to(np.array(colour, np.float64), (cell, cell, 3)).copy()


def _paint(tile: Floats, distance: Floats, colour: Colour) -> None:
    """Paint the pixels whose signed distance [cell, cell] to the shape is negative, in place."""
    cover = np.clip(0.5 - distance, 0.0, 1.0)[..., None]
    tile += cover * (np.array(colour) - tile)


def _offsets(cell: int) -> tuple[Floats, Floats]:
    """Pixel centres relative to the centre of the cell: down [cell, 1] and right [1, cell]."""
    axis = np.arange(cell, dtype=np.float64) + 0.5 - cell / 2
    return axis[:, None], axis[None, :]


def _disc(cell: int, owner: int) -> Floats:
    tile = _tile(cell, _FRAME)
    radius = np.hypot(*_offsets(cell))
    _paint(tile, radius - 0.42 * cell, _RIM)
    if owner == EMPTY:
        _paint(tile, radius - 0.39 * cell, _HOLE)
    else:
        red, green, blue = _STONES[owner]
        shade = (red * 3 // 4, green * 3 // 4, blue * 3 // 4)
        _paint(tile, radius - 0.39 * cell, shade)
        _paint(tile, radius - 0.34 * cell, (red, green, blue))
        _paint(tile, np.abs(radius - 0.22 * cell) - 0.015 * cell, shade)
    return tile


def _mark(cell: int, owner: int) -> Floats:
    tile = _tile(cell, _PAPER)
    down, right = _offsets(cell)
    thick = 0.06 * cell
    if owner == 0:
        reach = 0.28 * cell
        for sign in (1.0, -1.0):
            # Distance to the segment from (-reach, -sign * reach) to (reach, sign * reach).
            along = np.clip((down + sign * right) / 2, -reach, reach)
            _paint(tile, np.hypot(down - along, right - sign * along) - thick, _MARKS[0])
    elif owner == 1:
        _paint(tile, np.abs(np.hypot(down, right) - 0.28 * cell) - thick, _MARKS[1])
    return tile


def _ring(tile: Floats) -> None:
    """A green ring in a tile [cell, cell, 3], in place."""
    cell = len(tile)
    radius = np.hypot(*_offsets(cell))
    _paint(tile, np.abs(radius - 0.42 * cell) - 0.03 * cell, _RING)


def _lines(board: Floats, cell: int) -> None:
    """Lines between the cells, in place."""
    half = max(1, cell // 48)
    for row in range(cell, board.shape[0], cell):
        board[row - half : row + half] = _RULE
    for column in range(cell, board.shape[1], cell):
        board[:, column - half : column + half] = _RULE


def _framed(board: NDArray[np.uint8], margin: int, colour: Colour) -> NDArray[np.uint8]:
    height, width, _ = board.shape
    image = np.full((height + 2 * margin, width + 2 * margin, 3), colour, np.uint8)
    image[margin : margin + height, margin : margin + width] = board
    return image
