"""Rules of Othello on NumPy boards, written another way: lines of cells are walked from every cell."""

import numpy as np
from numpy.typing import NDArray

Board = NDArray[np.int8]
DIRECTIONS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]


def rays(size: int, cell: int) -> list[list[int]]:
    """For each direction the cells from the neighbour of `cell` to the edge."""
    row, column = divmod(cell, size)
    found = []
    for down, right in DIRECTIONS:
        steps = [(row + k * down, column + k * right) for k in range(1, size)]
        found.append([r * size + c for r, c in steps if 0 <= r < size and 0 <= c < size])
    return [ray for ray in found if ray]


class PlainOthello:
    """B games. boards: int8 [B, P], +1 black, -1 white."""

    def __init__(self, size: int, batch: int) -> None:
        self.size, self.cells = size, size * size
        self.rays = [rays(size, cell) for cell in range(self.cells)]
        start = np.zeros((size, size), np.int8)
        half = size // 2
        start[half - 1 : half + 1, half - 1 : half + 1] = [[-1, 1], [1, -1]]
        self.boards: Board = np.tile(start.ravel(), (batch, 1))
        self.plies = np.zeros(batch, np.int64)

    def captured(self, cell: int, colour: Board) -> NDArray[np.bool_]:
        """bool [B, P]: what a disc of `colour` int8 [B] at `cell` captures; nothing where the cell is not empty."""
        result = np.zeros(self.boards.shape, bool)
        for ray in self.rays[cell]:
            line = self.boards[:, ray] * colour[:, None]
            other = line == -1
            length = np.where(other.all(1), 0, other.argmin(1))
            closed = line[np.arange(len(line)), length] == 1
            result[:, ray] = (np.arange(len(ray)) < length[:, None]) & closed[:, None]
        return result & (self.boards[:, cell] == 0)[:, None]

    def open_cells(self, colour: Board) -> NDArray[np.bool_]:
        """bool [B, P]: where a disc of `colour` captures something."""
        return np.stack([self.captured(cell, colour).any(1) for cell in range(self.cells)], 1)

    def colour(self) -> Board:
        """int8 [B]: of the player to move."""
        return (1 - 2 * (self.plies % 2)).astype(np.int8)

    def play(self, actions: NDArray[np.int64], running: NDArray[np.bool_]) -> None:
        """Play a legal action on each running board."""
        colour = self.colour()
        for cell in np.unique(actions[running & (actions < self.cells)]):
            rows = running & (actions == cell)
            taken = self.captured(int(cell), colour) & rows[:, None]
            taken[rows, cell] = True
            self.boards = np.where(taken, colour[:, None], self.boards)
        self.plies += running

    def reward(self, over: NDArray[np.bool_]) -> NDArray[np.float32]:
        black = np.sign(self.boards.sum(1, dtype=np.int64)) * over
        return np.stack([black, -black], 1).astype(np.float32)
