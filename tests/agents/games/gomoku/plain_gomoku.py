"""Rules of Gomoku on NumPy boards, written another way: all rows of stones of the whole board are measured."""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def shifted(cells: NDArray[np.int64], down: int, right: int) -> NDArray[np.int64]:
    """[B, N, N]: what lies one step back from each cell, 0 beyond the edge."""
    size = cells.shape[1]
    padded = np.pad(cells, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 - down : 1 - down + size, 1 - right : 1 - right + size]


def row_lengths(stones: Mask) -> NDArray[np.int64]:
    """[B, 4, N, N]: at the last stone of each row its length, or 7 for more, else 0; one array per direction."""
    lengths = []
    for down, right in DIRECTIONS:
        counts = stones.astype(np.int64)
        for _ in range(6):
            counts = stones * (1 + shifted(counts, down, right))
        goes_on = shifted(stones.astype(np.int64), -down, -right)
        lengths.append(counts * (1 - goes_on))
    return np.stack(lengths, 1)


class PlainGomoku:
    """B games. boards: int8 [B, N, N], 1 and 2 for the stones of the first and the second player."""

    def __init__(self, size: int, exact: bool, batch: int) -> None:
        self.size, self.exact = size, exact
        self.boards = np.zeros((batch, size, size), np.int8)
        self.plies = np.zeros(batch, np.int64)
        self.over = np.zeros(batch, bool)
        self.reward = np.zeros((batch, 2), np.float32)
        self.overlines = 0

    def play(self, actions: NDArray[np.int64]) -> None:
        """Places a stone on each board that is not over."""
        running = np.flatnonzero(~self.over)
        mover = self.plies[running] % 2
        cells = self.boards.reshape(len(self.boards), -1)
        assert (cells[running, actions[running]] == 0).all()
        cells[running, actions[running]] = mover + 1
        lengths = row_lengths(self.boards[running] == (mover + 1)[:, None, None])
        won = ((lengths == 5) if self.exact else (lengths >= 5)).any((1, 2, 3))
        self.overlines += int(((lengths > 5).any((1, 2, 3)) & ~won).sum())
        self.reward[running[won], mover[won]] = 1
        self.reward[running[won], 1 - mover[won]] = -1
        self.plies[running] += 1
        self.over[running] = won | (self.boards[running] != 0).all((1, 2))

    def legal(self) -> Mask:
        """bool [B, A]."""
        return (self.boards.reshape(len(self.boards), -1) == 0) & ~self.over[:, None]

    def observation(self, player: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [B, 2, N, N] as `player` [B] sees it."""
        own = (player + 1)[:, None, None]
        return np.stack([self.boards == own, self.boards == 3 - own], 1).astype(np.float32)
