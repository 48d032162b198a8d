"""Pictures of boards, drawn with NumPy alone: shapes are signed distances in pixels, with soft edges."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Floats = NDArray[np.floating[Any]]

_PAPER, _RULE = (250, 247, 240), (196, 190, 178)
_FRAME, _HOLE, _RIM = (36, 84, 166), (228, 234, 244), (26, 64, 132)
_STONES: tuple[Colour, Colour] = ((214, 58, 52), (246, 196, 52))  # of discs; the darker shade is their rim
_MARKS: tuple[Colour, Colour] = ((43, 100, 178), (208, 74, 58))
_LARGEST, _CELL = 768, 96  # pixels: the longer side of the picture, and a cell where that leaves room


def draw(planes: NDArray[np.int8], discs: bool) -> NDArray[np.uint8]:
    """Picture uint8 [height, width, 3] of planes [C, H, W]: the first half of them the first player's pieces.

    discs: a Connect Four frame with red (first) and yellow stones; else crosses (first) and noughts on paper.
    """
    half = len(planes) // 2
    owners = np.where(planes[:half].any(0), 1, np.where(planes[half : 2 * half].any(0), 2, 0))
    height, width = owners.shape
    cell = max(16, min(_CELL, _LARGEST // max(height, width)))
    tiles = np.stack([_disc(cell, owner) if discs else _mark(cell, owner) for owner in range(3)])
    # [H, W, cell, cell, 3] -> [H * cell, W * cell, 3]
    board = tiles[owners].swapaxes(1, 2).reshape(height * cell, width * cell, 3)
    if not discs:
        _rule(board, cell)
    return _framed(np.rint(board).astype(np.uint8), cell // 8, _FRAME if discs else _PAPER)


def _tile(cell: int, colour: Colour) -> Floats:
    return np.broadcast_to(np.array(colour, np.float64), (cell, cell, 3)).copy()


def _paint(tile: Floats, distance: Floats, colour: Colour) -> None:
    """Covers the pixels whose signed distance [cell, cell] to the shape is negative, in place."""
    cover = np.clip(0.5 - distance, 0.0, 1.0)[..., None]
    tile += cover * (np.array(colour) - tile)


def _offsets(cell: int) -> tuple[Floats, Floats]:
    """Pixel centres relative to the cell's: down [cell, 1] and right [1, cell]."""
    axis = np.arange(cell, dtype=np.float64) + 0.5 - cell / 2
    return axis[:, None], axis[None, :]


def _disc(cell: int, owner: int) -> Floats:
    tile = _tile(cell, _FRAME)
    radius = np.hypot(*_offsets(cell))
    _paint(tile, radius - 0.42 * cell, _RIM)
    if owner == 0:
        _paint(tile, radius - 0.39 * cell, _HOLE)
    else:
        red, green, blue = _STONES[owner - 1]
        shade = (red * 3 // 4, green * 3 // 4, blue * 3 // 4)
        _paint(tile, radius - 0.39 * cell, shade)
        _paint(tile, radius - 0.34 * cell, (red, green, blue))
        _paint(tile, np.abs(radius - 0.22 * cell) - 0.015 * cell, shade)
    return tile


def _mark(cell: int, owner: int) -> Floats:
    tile = _tile(cell, _PAPER)
    down, right = _offsets(cell)
    thick = 0.06 * cell
    if owner == 1:
        reach = 0.28 * cell
        for sign in (1.0, -1.0):
            # Distance to the segment from (-reach, -sign * reach) to (reach, sign * reach).
            along = np.clip((down + sign * right) / 2, -reach, reach)
            _paint(tile, np.hypot(down - along, right - sign * along) - thick, _MARKS[0])
    elif owner == 2:
        _paint(tile, np.abs(np.hypot(down, right) - 0.28 * cell) - thick, _MARKS[1])
    return tile


def _rule(board: Floats, cell: int) -> None:
    """Lines between the cells, in place."""
    half = max(1, cell // 48)
    for row in range(cell, board.shape[0], cell):
        board[row - half : row + half] = _RULE
    for column in range(cell, board.shape[1], cell):
        board[:, column - half : column + half] = _RULE


def _framed(board: NDArray[np.uint8], margin: int, colour: Colour) -> NDArray[np.uint8]:
    height, width, _ = board.shape
    picture = np.full((height + 2 * margin, width + 2 * margin, 3), colour, np.uint8)
    picture[margin : margin + height, margin : margin + width] = board
    return picture
