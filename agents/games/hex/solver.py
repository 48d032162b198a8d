"""Exact outcomes of Hex positions by depth-first search with carriers of proofs.

A proof that a player wins uses certain empty cells only, its carrier. A move outside of the carrier of the opponent's
reply to another move does not disturb that reply, so that it loses too: only the intersection of all carriers found so
far, the must-play region, is searched. The search ends where the stones of the player who has moved connect his edges
by neighbours and bridges (Hayward, Björnsson, Johanson, Kan, Po, van Rijswijck 2005, "Solving 7x7 Hex with domination,
fill-in, and virtual connections").
"""

from collections.abc import Sequence
from typing import NamedTuple

from agents.games.hex.game import AROUND


class Proof(NamedTuple):
    """wins: whether the player to move wins. carrier: the cells that the winner needs, as a word with a bit for each.

    move: the first cell of a win, else one of those tried, as a word; 0 where none was tried.
    """

    wins: bool
    carrier: int
    move: int


class HexSolver:
    """Outcomes on one size of board; positions that were solved are kept. For up to about 5x5 cells.

    Cells are numbered in row-major order as player 0, who connects top and bottom, sees them. Positions are two words
    of stones, bit c for cell c.
    """

    def __init__(self, size: int) -> None:
        self.size, self.cells = size, size * size
        self._all = (1 << self.cells) - 1
        self._links = [_links(size, cell) for cell in range(self.cells)]
        # For each player and each of his edges the carriers from a cell to it: none on the edge, two cells beside it.
        self._to_edge = [[_to_edge(size, player, last) for last in (False, True)] for player in (0, 1)]
        self._known: dict[tuple[int, int], Proof] = {}
        middle = size - 1
        # Cells in the middle decide most: they are tried first.
        distance = [abs(2 * r - middle) + abs(2 * c - middle) for r, c in map(self._place, range(self.cells))]
        self._order = [1 << cell for cell in sorted(range(self.cells), key=distance.__getitem__)]

    def _place(self, cell: int) -> tuple[int, int]:
        return divmod(cell, self.size)

    def outcomes(self, stones: Sequence[int], player: int) -> dict[int, bool]:
        """For each empty cell whether `player` (0 or 1), who is to move, wins with a stone there.

        stones: the words of both players; nobody has won yet.
        """
        wins = self.solve(stones[0], stones[1], player).wins
        empty = self._all & ~(stones[0] | stones[1])
        return {c: wins and self._wins_with(stones, player, c) for c in range(self.cells) if empty >> c & 1}

    def _wins_with(self, stones: Sequence[int], player: int, cell: int) -> bool:
        placed = list(stones)
        placed[player] |= 1 << cell
        return not self.solve(placed[0], placed[1], 1 - player).wins

    def solve(self, first: int, second: int, player: int) -> Proof:
        """Whether `player` wins, who is to move."""
        own, other = (second, first) if player else (first, second)
        carrier = self._chain(other, self._all & ~(own | other), 1 - player)
        return self._search(own, other, player) if carrier is None else Proof(False, carrier, 0)

    def _search(self, own: int, other: int, player: int) -> Proof:
        """The same where the opponent has no chain."""
        key = (other, own) if player else (own, other)
        proof = self._known.get(key)
        if proof is None:
            proof = self._known[key] = self._proof(own, other, player)
        return proof

    def _proof(self, own: int, other: int, player: int) -> Proof:
        empty = self._all & ~(own | other)
        moves = [move for move in self._order if move & empty]
        for move in moves:
            carrier = self._chain(own | move, empty & ~move, player)
            if carrier is not None:
                return Proof(True, carrier | move, move)
        must_play, carrier, killer, tried = empty, 0, 0, 0
        while must_play:
            tried = killer & must_play or next(move for move in moves if move & must_play)
            reply = self._search(other, own | tried, 1 - player)
            if not reply.wins:
                return Proof(True, reply.carrier | tried, tried)
            must_play &= reply.carrier
            carrier |= reply.carrier
            killer = reply.move  # a cell where the opponent wins is often good for both
        return Proof(False, carrier, tried)

    def _chain(self, own: int, empty: int, player: int) -> int | None:
        """The carrier of a chain of stones between the player's edges whose opponent is to move, None if none is found.

        Two stones are linked if they are neighbours, or by a bridge: if the opponent takes one of its two empty cells,
        the player takes the other. The bridges of a chain have no cell in common.
        """
        begin, end = self._to_edge[player]
        reached, stack = 0, []
        for cell, carrier in begin:
            if own >> cell & 1 and carrier & empty == carrier and not reached >> cell & 1:
                reached |= 1 << cell
                stack.append((cell, carrier))
        goal = dict(end)
        while stack:
            cell, used = stack.pop()
            last = goal.get(cell)
            if last is not None and last & empty == last and not last & used:
                return used | last
            for other, carrier in self._links[cell]:
                bit = 1 << other
                if own & bit and not reached & bit and carrier & empty == carrier and not carrier & used:
                    reached |= bit
                    stack.append((other, used | carrier))
        return None


def _links(size: int, cell: int) -> list[tuple[int, int]]:
    """The cells that a stone can be linked with, and the carriers: the neighbours first, then those over bridges."""
    row, column = divmod(cell, size)

    def number(down: int, right: int) -> int | None:
        inside = 0 <= row + down < size and 0 <= column + right < size
        return (row + down) * size + column + right if inside else None

    near = [number(*step) for step in AROUND]
    links = [(other, 0) for other in near if other is not None]
    for k in range(6):
        one, two = near[k], near[(k + 1) % 6]
        (down, right), (more_down, more_right) = AROUND[k], AROUND[(k + 1) % 6]
        beyond = number(down + more_down, right + more_right)
        if one is not None and two is not None and beyond is not None:
            links.append((beyond, 1 << one | 1 << two))
    return links


def _to_edge(size: int, player: int, last: bool) -> list[tuple[int, int]]:
    """Cells on the player's first or last edge with carrier 0, then those one row away with the two cells between."""
    found = []
    for along in range(size):
        found.append((_number(size, player, size - 1 if last else 0, along), 0))
    for along in range(size):
        # In the view in which the player connects top and bottom: above are (-1, 0) and (-1, 1), below (1, 0), (1, -1).
        beside = along - 1 if last else along + 1
        if size > 1 and 0 <= beside < size:
            edge, row = (size - 1, size - 2) if last else (0, 1)
            carrier = 1 << _number(size, player, edge, along) | 1 << _number(size, player, edge, beside)
            found.append((_number(size, player, row, along), carrier))
    return found


def _number(size: int, player: int, row: int, column: int) -> int:
    """The cell that a player, who sees himself connect top and bottom, has in this row and column."""
    return column * size + row if player else row * size + column
