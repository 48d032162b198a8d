"""Boards as rows of cells with a border, so that the neighbours of all cells are slices.

A board of N x N points is stored with a border: N + 2 rows of W = N + 1 cells, S = (N + 2) * W in all. The point in row
r (0 on top) and column c is cell (r + 1) * W + c. One border column is enough: the cell to the left of a row's first
point is the border of the row above. Cell 0 is border, so it serves as "no cell" and "no chain".
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.games.game import Symmetries

BORDER = 2
"""Content of a border cell; 0 is empty, +1 black, -1 white."""


class Geometry(NamedTuple):
    """Tables of a board size. P = N * N points, A = P + 1 actions; the last action is a pass.

    cells: int64 [A], the cell of an action; 0 for a pass.
    sides: int64 [A, 4], the cells above, below, left and right of it; zeros for a pass.
    empty: int8 [S], the empty board.
    zobrist: int32 [2, S], two random numbers for each point; 0 at the border.
    """

    size: int
    cells: Tensor
    sides: Tensor
    empty: Tensor
    zobrist: Tensor

    @property
    def width(self) -> int:
        return self.size + 1

    def around(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`[B, S]` -> four views `[B * S - 2 * W]`: what is above, below, left and right of each cell of `inner`.

        All boards are one long row, since the neighbours of a point are cells of its own board.
        """
        row, width = cells.flatten(), self.width
        return row[: -2 * width], row[2 * width :], row[width - 1 : -width - 1], row[width + 1 : -width + 1]

    def inner(self, cells: Tensor) -> Tensor:
        """`[B, S]` -> `[B * S - 2 * W]`: the cells of all boards without the first and the last border row, a view."""
        return cells.flatten()[self.width : -self.width]

    def rows(self, inner: Tensor) -> Tensor:
        """`[B * S - 2 * W]` -> `[B, N * W]`: the rows of points of each board, each with a border cell at its end."""
        cells = len(self.empty)
        batch = (len(inner) + 2 * self.width) // cells
        return inner.as_strided((batch, self.size * self.width), (cells, 1))

    def points(self, inner: Tensor) -> Tensor:
        """`[B * S - 2 * W]` -> `[B, P]`: the points of each board."""
        return self.rows(inner).unflatten(1, (self.size, self.width))[:, :, : self.size].flatten(1)


@cache
def geometry(size: int, device: torch.device) -> Geometry:
    """Tables of an N x N board on a device."""
    width = size + 1
    rows, columns = np.divmod(np.arange(size * size), size)
    points = (rows + 1) * width + columns
    sides = points[:, None] + np.array([-width, width, -1, 1])
    empty = np.full((size + 2) * width, BORDER, np.int8)
    empty[points] = 0
    zobrist = np.zeros((2, len(empty)), np.int32)
    zobrist[:, points] = np.random.default_rng(0x60BA).integers(-(2**31), 2**31, (2, len(points)), dtype=np.int32)
    return Geometry(
        size,
        torch.from_numpy(np.append(points, 0)).to(device),
        torch.from_numpy(np.concatenate([sides, np.zeros((1, 4), np.int64)])).to(device),
        torch.from_numpy(empty).to(device),
        torch.from_numpy(zobrist).to(device),
    )


@cache
def symmetries(size: int, planes: int, device: torch.device) -> Symmetries:
    """The 8 symmetries of the square for observations of `planes` planes; a pass stays a pass."""
    grid = np.arange(size * size).reshape(size, size)
    maps = np.stack([np.rot90(g, k).ravel() for g in (grid, grid[:, ::-1]) for k in range(4)])
    offsets = np.arange(planes)[None, :, None] * size * size
    actions = np.concatenate([maps, np.full((8, 1), size * size)], 1)
    return Symmetries(
        torch.from_numpy((maps[:, None] + offsets).reshape(8, -1)).to(device), torch.from_numpy(actions).to(device)
    )
