"""Chains of stones and their liberties: placing a stone, captures, and the points where a stone may be placed.

Each stone has the number of its chain: a cell of the chain. A chain's pseudo-liberties are the pairs of one of its
stones and an empty point beside it: a liberty counts once for each of the chain's stones that touch it. They are enough
for the rules. A chain is captured where it has none, and point p is its only liberty exactly if the chain has as many
pseudo-liberties as it has stones beside p.

On a CPU `torch.where` and comparisons that return bool cost ten times as much as arithmetic. So truth values of whole
boards are 0 and 1 of the operands' own type.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.go.geometry import Geometry


class Chains(NamedTuple):
    """B boards of S cells (see `geometry`).

    stones: int8 [B, S], +1 black, -1 white, 0 empty, BORDER.
    chains: int16 [B, S], number of the stone's chain, 0 where there is no stone.
    liberties: int16 [B, S], pseudo-liberties of the stone's chain, 0 where there is no stone.
    """

    stones: Tensor
    chains: Tensor
    liberties: Tensor


def place(board: Geometry, position: Chains, move: Tensor, colour: Tensor) -> tuple[Chains, Tensor]:
    """Place a stone on each board and remove the chains that it captures.

    move: int64 [B], a legal move, or a pass, which changes nothing. colour: int8 [B, 1], +1 or -1.
    Returns the position and the removed stones, int16 [B, S] of 0 and 1.
    """
    stones, chains, _ = position
    cell = board.cells.index_select(0, move)[:, None]
    rows = torch.arange(len(move), device=move.device)
    side = Sides.of(position, rows, board.sides.index_select(0, move))
    removed = _has_chain(chains, side.captured_by(colour))
    joined = _has_chain(chains, torch.where(side.stones == colour, side.chains, NO_CHAIN))
    number = cell.to(torch.int16)
    chains = (chains * (1 - removed - joined) + number * joined).scatter(1, cell, number)
    stones = stones * (1 - removed.to(torch.int8))
    # Cell 0, the cell of a pass, stays border.
    stones = stones.scatter(1, cell, torch.where(cell == 0, board.empty[:1], colour))
    return Chains(stones, chains, pseudo_liberties(board, stones, chains)), removed


def pseudo_liberties(board: Geometry, stones: Tensor, chains: Tensor) -> Tensor:
    """int16 [B, S]: pseudo-liberties of each stone's chain."""
    above, below, left, right = board.around(equal(stones, 0))
    index = chains.long()
    of_chain = torch.zeros_like(chains)
    beside = board.rows((above + below + left + right).to(torch.int16))
    of_chain.scatter_add_(1, board.rows(board.inner(index)), beside)
    of_chain[:, 0] = 0  # cells without a stone were added up here
    return of_chain.gather(1, index)


def open_points(board: Geometry, position: Chains, colour: Tensor, lost: Tensor) -> tuple[Tensor, Tensor]:
    """Empty points where a stone of `colour` int8 [B, 1] has a liberty, after captures: legal but for the ko rule.

    A stone has a liberty if a neighbour is empty, is of its own colour and keeps another liberty, or is captured
    because this is its last one.
    lost: int8 [B, S], see `GoState`.
    Returns two bool [B, P]: these points, and those of them where a stone of `colour` was captured before.
    """
    chains, liberties = board.around(position.chains), board.around(position.liberties)
    touching: list[Tensor | int] = [1, 1, 1, 1]
    for i in range(4):
        for j in range(i):
            same = equal(chains[i], chains[j])
            touching[i] = same + touching[i]
            touching[j] = same + touching[j]
    empty = equal(position.stones, 0)
    friendly = board.around((empty | equal(position.stones, colour)).to(torch.int16))
    # `last` is 0 at empty points and at the border, which have no liberties.
    last = [equal(count, beside) for count, beside in zip(liberties, touching, strict=True)]
    above, below, left, right = (a ^ b for a, b in zip(last, friendly, strict=True))
    free = (above | below | left | right).to(torch.int8) & board.inner(empty)
    before = board.inner(lost & lost_bit(colour))
    return board.points(free).bool(), board.points(free * before).bool()


def lost_bit(colour: Tensor) -> Tensor:
    """int8 [B, 1]: the bit of `GoState.lost` of a colour int8 [B, 1]: 1 for black, 2 for white."""
    return (3 - colour) // 2


NO_CHAIN = -1


class Sides(NamedTuple):
    """The four neighbours of N points.

    stones: int8 [N, 4]. chains: int16 [N, 4]. last_liberty: bool [N, 4], the neighbour's chain has no liberty but this
    point, which is empty.
    """

    stones: Tensor
    chains: Tensor
    last_liberty: Tensor

    @classmethod
    def of(cls, position: Chains, rows: Tensor, sides: Tensor) -> "Sides":
        """rows: int64 [N], boards. sides: int64 [N, 4], cells of those boards."""
        index = (rows[:, None] * position.stones.shape[1] + sides).flatten()
        stones, chains, liberties = (field.flatten().index_select(0, index).view(-1, 4) for field in position)
        touching = (chains[:, :, None] == chains[:, None, :]).sum(2)
        return cls(stones, chains, liberties == touching)

    def captured_by(self, colour: Tensor) -> Tensor:
        """int16 [N, 4]: the neighbours' chains that a stone of `colour` int8 [N, 1] captures, else NO_CHAIN."""
        return torch.where((self.stones == -colour) & self.last_liberty, self.chains, NO_CHAIN)


def equal(a: Tensor, b: Tensor | int) -> Tensor:
    """Whether a == b as 0 and 1 of the type of `a`."""
    return a.clone().eq_(b)


def _has_chain(chains: Tensor, numbers: Tensor) -> Tensor:
    """int16 [B, S]: 1 where the chain is one of `numbers` int16 [B, 4]."""
    a, b, c, d = (equal(chains, numbers[:, side : side + 1]) for side in range(4))
    return a | b | c | d
