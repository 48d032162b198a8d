"""One board of Go as an image, rendered with NumPy: shapes are signed distances in pixels, with soft edges."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.games.go.text import star_points

Colour = tuple[int, int, int]
Floats = NDArray[np.floating[Any]]

_WOOD, _INK = (222, 184, 120), (70, 52, 30)
_STONES: dict[int, Colour] = {1: (34, 34, 38), -1: (246, 244, 238)}
_RIMS: dict[int, Colour] = {1: (8, 8, 10), -1: (140, 134, 124)}
_LARGEST, _CELL = 768, 64  # pixels: longest side of the image, largest distance of two lines


def board_image(stones: list[int], size: int, last: int) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] of stones in row-major order: +1 black, -1 white, 0 empty.

    last: the point whose stone gets a ring, if it has one.
    """
    cell = min(_CELL, _LARGEST // size)
    side = cell * size
    pixels = np.broadcast_to(np.array(_WOOD, np.float64), (side, side, 3)).copy()
    axis = np.arange(side) + 0.5
    # Distances of rows and columns of pixels from the nearest line; lines end at the outermost points.
    off = np.abs(axis % cell - cell / 2)
    outside = np.maximum(cell / 2 - axis, axis - (side - cell / 2))
    _paint(pixels, np.maximum(off[:, None], outside[None, :]) - 0.7, _INK)
    _paint(pixels, np.maximum(off[None, :], outside[:, None]) - 0.7, _INK)
    local = np.arange(cell) + 0.5 - cell / 2
    radius = np.hypot(local[:, None], local[None, :])
    stars = star_points(size)
    for point, stone in enumerate(stones):
        row, column = divmod(point, size)
        tile = pixels[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        if stone:
            _paint(tile, radius - 0.47 * cell, _RIMS[stone])
            _paint(tile, radius - 0.44 * cell, _STONES[stone])
            if point == last:
                _paint(tile, np.abs(radius - 0.22 * cell) - 0.035 * cell, _STONES[-stone])
        elif point in stars:
            _paint(tile, radius - 0.1 * cell, _INK)
    return np.rint(pixels).astype(np.uint8)


def _paint(pixels: Floats, distance: Floats, colour: Colour) -> None:
    """Paint the pixels whose signed distance to the shape is negative, in place."""
    cover = np.clip(0.5 - distance, 0.0, 1.0)[..., None]
    pixels += cover * (np.array(colour) - pixels)
