"""Rules of Hex on NumPy boards, written another way: colours on one board, connections flooded from the edges."""

import numpy as np
from numpy.typing import NDArray

Board = NDArray[np.int8]
Mask = NDArray[np.bool_]


def beside(mask: Mask) -> Mask:
    """bool [B, N, N]: cells with a neighbour in mask bool [B, N, N]."""
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    size = mask.shape[1]
    found = np.zeros_like(mask)
    for row, column in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)):
        found |= padded[:, row : row + size, column : column + size]
    return found


def flooded(stones: Mask, start: Mask) -> Mask:
    """bool [B, N, N]: stones connected to those in `start`."""
    reached = stones & start
    while True:
        more = reached | (stones & beside(reached))
        if (more == reached).all():
            return reached
        reached = more


class PlainHex:
    """B games. boards: int8 [B, N, N], +1 for player 0, who connects top and bottom, -1 for player 1."""

    def __init__(self, size: int, swap: bool, batch: int) -> None:
        self.size, self.cells, self.swap = size, size * size, swap
        self.boards: Board = np.zeros((batch, size, size), np.int8)
        self.plies = np.zeros(batch, np.int64)
        self.edges = np.zeros((4, size, size), bool)  # top, bottom, left, right
        self.edges[0, 0], self.edges[1, -1], self.edges[2, :, 0], self.edges[3, :, -1] = True, True, True, True

    def connected(self) -> Mask:
        """bool [B, 4, N, N]: player 0's stones connected to the top and bottom, player 1's to the left and right."""
        stones = [self.boards == colour for colour in (1, 1, -1, -1)]
        return np.stack([flooded(s, np.broadcast_to(e, s.shape)) for s, e in zip(stones, self.edges, strict=True)], 1)

    def winners(self, connected: Mask) -> NDArray[np.int64]:
        """[B]: 1 where player 0 has won, -1 where player 1 has, else 0."""
        first, second = ((connected[:, k] & self.edges[k + 1]).any((1, 2)) for k in (0, 2))
        return first.astype(np.int64) - second

    def seen(self, boards: NDArray[np.generic], player: NDArray[np.int64]) -> NDArray[np.generic]:
        """[B, ..., N, N] as `player` [B] sees it: mirrored at the long diagonal for player 1."""
        view = boards.copy()
        view[player == 1] = boards[player == 1].swapaxes(-1, -2)
        return view

    def legal(self, winners: NDArray[np.int64]) -> Mask:
        """bool [B, A]: as the player to move sees the board."""
        free = self.seen(self.boards == 0, self.plies % 2).reshape(len(self.boards), -1)
        legal = np.concatenate([free, (self.plies == 1)[:, None]], 1) if self.swap else free
        return legal & (winners == 0)[:, None]

    def observation(self, connected: Mask, player: int) -> NDArray[np.float32]:
        batch = len(self.boards)
        # No connections of a player who has won.
        winners = self.winners(connected)[:, None, None]
        top, bottom = (connected[:, k] & (winners != 1) for k in (0, 1))
        left, right = (connected[:, k] & (winners != -1) for k in (2, 3))
        sides = [self.boards == 1, top, bottom, self.boards == -1, left, right]
        planes = np.stack(sides if player == 0 else sides[3:] + sides[:3], 1)
        view = self.seen(planes, np.full(batch, player))
        if self.swap:
            may = np.broadcast_to((self.plies == 1)[:, None, None, None], (batch, 1, self.size, self.size))
            view = np.concatenate([view, may], 1)
        return view.astype(np.float32)

    def play(self, actions: NDArray[np.int64], running: Mask) -> None:
        """Play legal actions, numbered as the player to move sees the board, on the running boards."""
        for b in np.flatnonzero(running):
            player = self.plies[b] % 2
            if actions[b] == self.cells:
                self.boards[b] = -self.boards[b].T  # the stone is the other player's now, and lies for him as before
            else:
                row, column = divmod(int(actions[b]), self.size)
                cell = (row, column) if player == 0 else (column, row)
                assert self.boards[b][cell] == 0
                self.boards[b][cell] = 1 - 2 * player
        self.plies += running
