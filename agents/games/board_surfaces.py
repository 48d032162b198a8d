"""Surfaces of boards and the stones on them, painted with NumPy: shapes are signed distances in pixels, soft edges."""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.games.board import EMPTY, Board, Surface

Colour = tuple[int, int, int]
Floats = NDArray[np.floating[Any]]

_RING = (92, 184, 92)
_PAPER, _RULE, _PAPER_LAST = (250, 247, 240), (196, 190, 178), (240, 230, 170)
_FRAME, _HOLE, _RIM = (36, 84, 166), (228, 234, 244), (26, 64, 132)
_WOOD, _FELT, _INK = (222, 184, 120), (46, 122, 78), (70, 52, 30)
_LIGHT, _DARK = (238, 224, 200), (170, 128, 96)
_LIGHT_LAST, _DARK_LAST = (232, 222, 130), (190, 170, 70)
_CROSS, _NOUGHT = (43, 100, 178), (208, 74, 58)
_ROW_STEP, _EDGE = 0.75**0.5, 0.2  # of hexagons one apart: the distance of rows, the width of the owners' edges


class Disc(NamedTuple):
    """Colours of a stone: its face, its rim, and the mark of the last move on it."""

    face: Colour
    rim: Colour
    mark: Colour


_BLACK, _WHITE = (34, 34, 38), (246, 244, 238)
_BLACK_AND_WHITE = (Disc(_BLACK, (8, 8, 10), _WHITE), Disc(_WHITE, (140, 134, 124), _BLACK))
_RED_AND_YELLOW = (
    Disc((214, 58, 52), (160, 43, 39), (250, 236, 230)),
    Disc((246, 196, 52), (184, 147, 39), (110, 80, 10)),
)
_RED_AND_BLUE = (Disc((206, 62, 56), (150, 40, 36), _WHITE), Disc((52, 104, 186), (34, 70, 130), _WHITE))
DISCS: dict[Surface, tuple[Disc, Disc]] = {
    "frame": _RED_AND_YELLOW,
    "lines": _BLACK_AND_WHITE,
    "felt": _BLACK_AND_WHITE,
    "squares": (_BLACK_AND_WHITE[1], _BLACK_AND_WHITE[0]),  # white begins
    "hexagons": _RED_AND_BLUE,
}
BORDERS: dict[Surface, Colour] = {"frame": _FRAME, "lines": _WOOD}
"""Colours around the surfaces; paper around all others."""


def border(surface: Surface) -> Colour:
    """Colour around a surface."""
    return BORDERS.get(surface, _PAPER)


def extent(board: Board, cell: int) -> tuple[int, int]:
    """Height and width in pixels of the surface, for cells of this many pixels."""
    rows, columns = board.size
    if board.surface == "hexagons":
        down, right = _ROW_STEP * (rows + 1 / 3), columns + (rows - 1) / 2
        return round((down + 2 * _EDGE) * cell), round((right + 2 * _EDGE) * cell)
    return rows * cell, columns * cell


def centre(board: Board, cell: int, row: float, column: float) -> tuple[float, float]:
    """Down and right in pixels of the middle of a cell."""
    if board.surface == "hexagons":
        return (_ROW_STEP * (row + 2 / 3) + _EDGE) * cell, (column + row / 2 + 0.5 + _EDGE) * cell
    return (row + 0.5) * cell, (column + 0.5) * cell


def painted(board: Board, cell: int) -> Floats:
    """float64 [height, width, 3]: the surface with stones; pieces with letters are left out."""
    pixels = np.broadcast_to(np.array(border(board.surface), np.float64), (*extent(board, cell), 3)).copy()
    _GROUNDS[board.surface](pixels, board, cell)
    for row, column in product(*map(range, board.size)):
        patch = _Patch(pixels, *centre(board, cell, row, column), cell)
        owner = board.owners[row][column]
        if owner != EMPTY and not board.signs:
            if board.surface == "paper":
                _mark(patch, owner)
            else:
                _disc(patch, DISCS[board.surface][owner], board, (row, column) in board.last)
        if (row, column) in board.winning:
            patch.paint(np.abs(patch.radius - 0.42 * cell) - 0.03 * cell, _RING)
    if board.surface == "paper":
        _rules(pixels, cell, _RULE)
    return pixels


class _Patch:
    """The pixels around the middle of a cell. down, right: offsets in pixels from the middle."""

    def __init__(self, pixels: Floats, middle: float, across: float, cell: int) -> None:
        reach = 0.6 * cell
        top, left = max(0, int(middle - reach)), max(0, int(across - reach))
        self.pixels = pixels[top : int(np.ceil(middle + reach)), left : int(np.ceil(across + reach))]
        self.down = (np.arange(self.pixels.shape[0]) + 0.5 + top - middle)[:, None]
        self.right = (np.arange(self.pixels.shape[1]) + 0.5 + left - across)[None, :]
        self.radius = np.hypot(self.down, self.right)
        self.cell = cell

    def paint(self, distance: Floats, colour: Colour) -> None:
        """Paint the pixels whose signed distance to the shape is negative."""
        _paint(self.pixels, distance, colour)


def _paint(pixels: Floats, distance: Floats, colour: Colour) -> None:
    cover = np.clip(0.5 - distance, 0.0, 1.0)[..., None]
    pixels += cover * (np.array(colour) - pixels)


def _disc(patch: _Patch, disc: Disc, board: Board, last: bool) -> None:
    cell, falls = patch.cell, board.surface == "frame"
    size = {"frame": 0.39, "lines": 0.47, "felt": 0.4, "squares": 0.36, "hexagons": 0.36}[board.surface]
    patch.paint(patch.radius - size * cell, disc.rim)
    patch.paint(patch.radius - (size - 0.05 if falls else size - 0.03) * cell, disc.face)
    if falls:
        patch.paint(np.abs(patch.radius - 0.22 * cell) - 0.015 * cell, disc.rim)
    if last and board.surface != "squares":
        shape = patch.radius - 0.1 * cell if falls else np.abs(patch.radius - 0.22 * cell) - 0.035 * cell
        patch.paint(shape, disc.mark)


def _mark(patch: _Patch, owner: int) -> None:
    """A cross or a nought."""
    cell = patch.cell
    thick = 0.06 * cell
    if owner == 1:
        patch.paint(np.abs(patch.radius - 0.28 * cell) - thick, _NOUGHT)
        return
    reach = 0.28 * cell
    for sign in (1.0, -1.0):
        # Distance to the segment from (-reach, -sign * reach) to (reach, sign * reach).
        along = np.clip((patch.down + sign * patch.right) / 2, -reach, reach)
        patch.paint(np.hypot(patch.down - along, patch.right - sign * along) - thick, _CROSS)


def _paper(pixels: Floats, board: Board, cell: int) -> None:
    for row, column in board.last:
        pixels[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = _PAPER_LAST


def _frame(pixels: Floats, board: Board, cell: int) -> None:
    for row, column in product(*map(range, board.size)):
        patch = _Patch(pixels, *centre(board, cell, row, column), cell)
        patch.paint(patch.radius - 0.42 * cell, _RIM)
        patch.paint(patch.radius - 0.39 * cell, _HOLE)


def _lines(pixels: Floats, board: Board, cell: int) -> None:
    height, width, _ = pixels.shape
    down, right = np.arange(height) + 0.5, np.arange(width) + 0.5
    # Distances from the nearest line, and from the part of the board between the outermost lines.
    off_row, off_column = (np.abs(axis % cell - cell / 2) for axis in (down, right))
    above, beside = (
        np.maximum(cell / 2 - axis, axis - (size - cell / 2)) for axis, size in ((down, height), (right, width))
    )
    _paint(pixels, np.maximum(off_row[:, None], beside[None, :]) - 0.7, _INK)
    _paint(pixels, np.maximum(off_column[None, :], above[:, None]) - 0.7, _INK)
    for row, column in board.stars:
        patch = _Patch(pixels, *centre(board, cell, row, column), cell)
        patch.paint(patch.radius - 0.1 * cell, _INK)


def _felt(pixels: Floats, board: Board, cell: int) -> None:
    pixels[:] = _FELT
    _rules(pixels, cell, _BLACK)


def _squares(pixels: Floats, board: Board, cell: int) -> None:
    rows = board.size[0]
    for row, column in product(*map(range, board.size)):
        # The square at the lower left is dark.
        light, last = (rows - 1 - row + column) % 2 == 1, (row, column) in board.last
        colour = (_LIGHT_LAST if last else _LIGHT) if light else (_DARK_LAST if last else _DARK)
        pixels[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = colour


def _hexagons(pixels: Floats, board: Board, cell: int) -> None:
    rows, columns = board.size
    # The owners' edges: hexagons of their colours that stick out behind those of the board.
    edges: list[tuple[int, float, float]] = [
        (0, row, column) for row in (-0.18, rows - 0.82) for column in range(columns)
    ]
    edges += [(1, row, column) for row in range(rows) for column in (-0.14, columns - 0.86)]
    for owner, row, column in edges:
        middle, across = centre(board, cell, row, column)
        # Straight up or down: without the shift of the rows.
        across -= (row - round(row)) / 2 * cell
        patch = _Patch(pixels, middle, across, cell)
        patch.paint(_hexagon(patch) - 0.5 * cell, DISCS["hexagons"][owner].face)
    for row, column in product(range(rows), range(columns)):
        patch = _Patch(pixels, *centre(board, cell, row, column), cell)
        patch.paint(_hexagon(patch) - 0.5 * cell, _RULE)
        patch.paint(_hexagon(patch) - 0.47 * cell, _PAPER)


def _hexagon(patch: _Patch) -> Floats:
    """Distance from the middle across the sides of a hexagon that stands on a corner."""
    slanted = np.abs(patch.right) / 2 + np.abs(patch.down) * _ROW_STEP
    return np.maximum(np.abs(patch.right), slanted)


def _rules(pixels: Floats, cell: int, colour: Colour) -> None:
    """Lines between the cells."""
    half = max(1, cell // 48)
    for row in range(cell, pixels.shape[0], cell):
        pixels[row - half : row + half] = colour
    for column in range(cell, pixels.shape[1], cell):
        pixels[:, column - half : column + half] = colour


_GROUNDS: dict[Surface, Callable[[Floats, Board, int], None]] = {
    "paper": _paper,
    "frame": _frame,
    "lines": _lines,
    "squares": _squares,
    "felt": _felt,
    "hexagons": _hexagons,
}
