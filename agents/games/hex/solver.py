"""Exact outcomes of Hex positions by depth-first search with carriers of proofs.

A proof that a player wins uses certain empty cells only, its carrier. A move outside of the carrier of the opponent's
reply to another move does not disturb that reply, so that it loses too: only the intersection of all carriers found so
far, the must-play region, is searched (Hayward, Björnsson, Johanson, Kan, Po, van Rijswijck 2005, "Solving 7x7 Hex with
domination, fill-in, and virtual connections", section 2).
"""

from collections.abc import Sequence
from typing import NamedTuple

from agents.games.hex.game import around


class Proof(NamedTuple):
    """wins: whether the player to move wins. carrier: the cells that the winner needs. move: the first of a win, else
    the last one tried, as words with a bit for each cell."""

    wins: bool
    carrier: int
    move: int


class HexSolver:
    """Outcomes on one size of board; positions that were solved are kept. For up to about 5x5 cells.

    Cells are numbered in row-major order as player 0, who connects top and bottom, sees them. Positions are two words
    of stones, bit c for cell c.
    """

    def __init__(self, size: int) -> None:
        self.size, cells = size, size * size
        self._all = (1 << cells) - 1
        self._beside = [sum(1 << other for other in around(size, cell)) for cell in range(cells)]
        top, left = (1 << size) - 1, sum(1 << (row * size) for row in range(size))
        self._edges = ((top, top << (cells - size)), (left, left << (size - 1)))
        self._known: dict[tuple[int, int], Proof] = {}
        middle = (size - 1) / 2
        near = [
            abs(c // size - middle) + abs(c % size - middle) + abs(c // size + c % size - 2 * middle)
            for c in range(cells)
        ]
        # Cells in the middle decide most; also the order of the search of equal cells.
        self._order = [1 << cell for cell in sorted(range(cells), key=near.__getitem__)]

    def outcomes(self, stones: Sequence[int], player: int) -> dict[int, bool]:
        """For each empty cell whether `player` (0 or 1), who is to move, wins with a stone there."""
        proof = self.solve(stones[0], stones[1], player)
        empty = self._all & ~(stones[0] | stones[1])
        cells = [cell for cell in range(self.size**2) if empty >> cell & 1]
        return {cell: proof.wins and self.wins_with(stones, player, cell) for cell in cells}

    def wins_with(self, stones: Sequence[int], player: int, cell: int) -> bool:
        """Whether `player` wins after a stone at `cell`."""
        placed = list(stones)
        placed[player] |= 1 << cell
        return self._connects(placed[player], player) or not self.solve(placed[0], placed[1], 1 - player).wins

    def solve(self, first: int, second: int, player: int) -> Proof:
        """Whether `player` wins, who is to move in a position that nobody has won yet."""
        known = self._known.get((first, second))
        if known is not None:
            return known
        must_play = empty = self._all & ~(first | second)
        proof: Proof | None = None
        carrier, killer = 0, 0
        own = second if player else first
        while proof is None:
            move = self._next(must_play, killer)
            placed = own | move
            if self._connects(placed, player):
                proof = Proof(True, move, move)
                break
            reply = self.solve(first, placed, 0) if player else self.solve(placed, second, 1)
            if not reply.wins:
                proof = Proof(True, move | reply.carrier, move)
                break
            must_play &= reply.carrier
            carrier |= reply.carrier
            killer = reply.move  # where the opponent wins, a stone often helps
            if not must_play:
                proof = Proof(False, carrier & empty, move)
        self._known[first, second] = proof
        return proof

    def _next(self, must_play: int, killer: int) -> int:
        if killer & must_play:
            return killer
        return next(move for move in self._order if move & must_play)

    def _connects(self, stones: int, player: int) -> bool:
        start, goal = self._edges[player]
        reached = fresh = stones & start
        while fresh:
            if reached & goal:
                return True
            beside = 0
            while fresh:
                lowest = fresh & -fresh
                beside |= self._beside[lowest.bit_length() - 1]
                fresh ^= lowest
            fresh = beside & stones & ~reached
            reached |= fresh
        return False
