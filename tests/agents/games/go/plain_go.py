"""Rules of Go on NumPy boards, written another way: every move is tried, and whole positions are compared."""

import numpy as np
from numpy.typing import NDArray

Board = NDArray[np.int8]
Mask = NDArray[np.bool_]


def beside(mask: Mask) -> Mask:
    """bool [B, N, N]: points with a neighbour in mask bool [B, N, N]."""
    found = np.zeros_like(mask)
    found[:, 1:] |= mask[:, :-1]
    found[:, :-1] |= mask[:, 1:]
    found[:, :, 1:] |= mask[:, :, :-1]
    found[:, :, :-1] |= mask[:, :, 1:]
    return found


def connected(start: Mask, inside: Mask) -> Mask:
    """bool [B, N, N]: points of `inside` that are connected to `start` within it."""
    reached = start & inside
    while True:
        more = reached | (beside(reached) & inside)
        if (more == reached).all():
            return reached
        reached = more


def without_liberties(boards: Board, colour: int) -> Mask:
    stones = boards == colour
    return stones & ~connected(beside(boards == 0), stones)


def area(boards: Board) -> NDArray[np.int64]:
    """[B]: black minus white points."""
    empty = boards == 0
    black, white = (connected(beside(boards == colour), empty) for colour in (1, -1))
    black, white = (boards == 1) | (black & ~white), (boards == -1) | (white & ~black)
    return black.sum((1, 2)) - white.sum((1, 2))


class PlainGo:
    """B games. boards: int8 [B, N, N], +1 black. The ko rule is "positional" or "simple"."""

    def __init__(self, size: int, ko: str, max_plies: int, batch: int) -> None:
        self.size, self.ko, self.max_plies = size, ko, max_plies
        self.boards: Board = np.zeros((batch, size, size), np.int8)
        self.history = [[board.tobytes()] for board in self.boards]
        self.plies = np.zeros(batch, np.int64)
        self.passes = np.zeros(batch, np.int64)
        self.captures = np.zeros((batch, 2), np.int64)
        self.over = np.zeros(batch, bool)

    def after(self, point: int) -> tuple[Board, Mask]:
        """The boards after a stone at `point`, and whether it may be placed there but for the ko rule."""
        colour = 1 - 2 * (self.plies % 2)
        boards = self.boards.copy()
        cells = boards.reshape(len(boards), -1)
        free = cells[:, point] == 0
        cells[free, point] = colour[free]
        for player in (1, -1):
            boards[without_liberties(boards, -player) & (colour == player)[:, None, None]] = 0
        suicide = np.where(colour == 1, *(without_liberties(boards, player).any((1, 2)) for player in (1, -1)))
        return boards, free & ~suicide

    def legal(self) -> tuple[Mask, Mask]:
        """bool [B, A]: legal moves; bool [B, P]: points that only the ko rule forbids."""
        points = self.size**2
        legal = np.zeros((len(self.boards), points + 1), bool)
        banned = np.zeros((len(self.boards), points), bool)
        legal[:, -1] = ~self.over
        for point in range(points):
            boards, may = self.after(point)
            for b in np.flatnonzero(may & ~self.over):
                seen = self.history[b] if self.ko == "positional" else self.history[b][-2:-1]
                banned[b, point] = boards[b].tobytes() in seen
                legal[b, point] = not banned[b, point]
        return legal, banned

    def play(self, actions: NDArray[np.int64]) -> None:
        """Play a legal action on each board that is not over."""
        new = self.boards.copy()
        for point in np.unique(actions[(actions < self.size**2) & ~self.over]):
            rows = np.flatnonzero((actions == point) & ~self.over)
            boards, may = self.after(int(point))
            assert may[rows].all()
            new[rows] = boards[rows]
        running = ~self.over
        passed = actions == self.size**2
        stones = np.abs(self.boards).sum((1, 2)) + ~passed - np.abs(new).sum((1, 2))
        self.captures[np.flatnonzero(running), (self.plies % 2)[running]] += stones[running]
        self.boards = new
        self.plies += running
        self.passes = np.where(running, np.where(passed, self.passes + 1, 0), self.passes)
        for b in np.flatnonzero(running):
            self.history[b].append(new[b].tobytes())
        self.over |= (self.passes >= 2) | (self.plies >= self.max_plies)

    def reward(self, komi: float) -> NDArray[np.float32]:
        black = np.sign(area(self.boards) - komi) * self.over
        return np.stack([black, -black], 1).astype(np.float32)

    def observation(self, positions: int, komi: float, banned: Mask, player: int) -> NDArray[np.float32]:
        """What `player` sees, board by board, from the list of positions."""
        planes = np.zeros((len(self.boards), 2 * positions + 4, self.size, self.size), np.float32)
        colour = 1 - 2 * player
        for b, seen in enumerate(self.history):
            for h, position in enumerate(seen[::-1][:positions]):
                stones = np.frombuffer(position, np.int8).reshape(self.size, self.size)
                planes[b, 2 * h], planes[b, 2 * h + 1] = stones == colour, stones == -colour
            planes[b, -4] = player == 0
            planes[b, -3] = self.passes[b] > 0
            if self.plies[b] % 2 == player:
                planes[b, -2] = banned[b].reshape(self.size, self.size)
        planes[:, -1] = (komi if player == 1 else -komi) / 20
        return planes
