"""The ko rules: points where a stone would repeat an earlier position of the board.

Positions are compared by a 64-bit Zobrist hash that is linear: two sums modulo 2**32 over the board of +1 or -1 times a
random number of the point. Two different positions have equal hashes with a probability of about 2**-62.

All candidates are tested at once and exactly, captures included. A position can only return at a point where a stone
of the same colour was captured before: otherwise that stone has not stood there in any earlier position. So most points
of a normal game need no test. On a CPU only the others are tested; on a device for which the program would have to
wait for their number, all points are, with the same result.
"""

import torch
from torch import Tensor

from agents.games.go.chains import Chains, Sides
from agents.games.go.geometry import Geometry

_FILTER = 4096  # slots per board
_CHUNK = 64  # earlier positions that are compared at once


def position_hash(board: Geometry, stones: Tensor) -> Tensor:
    """int64 [B]: hash of stones int8 [B, S]; 0 for the empty board."""
    return _joined(_terms(board, stones).sum(2, dtype=torch.int32))


def repeating_points(
    board: Geometry, position: Chains, colour: Tensor, suspects: Tensor, earlier: Tensor, *, compact: bool
) -> Tensor:
    """bool [B, P]: the `suspects` where a stone of `colour` leads to an earlier position.

    colour: int8 [B, 1]. suspects: bool [B, P], otherwise legal moves. earlier: int64 [B, T], hashes of positions;
    unused entries are 0, as of the empty board, to which no move leads.
    compact: test the suspects only. This reads their number, so it is for the CPU.
    """
    if compact:
        found = torch.zeros_like(suspects)
        row, point = suspects.nonzero(as_tuple=True)
        if not len(row):
            return found
        some, of_some = row.unique_consecutive(return_inverse=True)
        position = Chains(*(field.index_select(0, some) for field in position))
        hashes = hashes_after(board, position, colour.index_select(0, some), of_some, point)
        found[row, point] = _among(hashes, of_some, earlier.index_select(0, some))
        return found
    batch, points = suspects.shape
    row = torch.arange(batch, device=suspects.device)
    point = torch.arange(points, device=suspects.device)
    hashes = hashes_after(board, position, colour, row.repeat_interleave(points), point.repeat(batch))
    hashes = hashes.view(batch, points, 1)
    found = torch.zeros_like(suspects)
    for part in earlier.split(_CHUNK, 1):
        found = found | (hashes == part[:, None, :]).any(2)
    return found & suspects


def hashes_after(board: Geometry, position: Chains, colour: Tensor, row: Tensor, point: Tensor) -> Tensor:
    """int64 [N]: the hash of board `row` [N] after a stone of `colour` at `point` [N] and its captures."""
    sides = Sides.of(position, row, board.sides.index_select(0, point))
    mover = colour.index_select(0, row)
    captured = sides.captured_by(mover).long()
    # A chain on several sides of the point counts once, for the first of them.
    repeated = (captured[:, :, None] == captured[:, None, :]).tril(-1).any(2)
    taken = (captured > 0) & ~repeated
    terms = _terms(board, position.stones)
    of_chain = torch.zeros_like(terms).scatter_add_(2, position.chains.long().expand_as(terms), terms)
    chain = (row[:, None] * terms.shape[2] + captured.clamp_min(0)).flatten()
    lost = (of_chain.flatten(1).index_select(1, chain).unflatten(1, taken.shape) * taken).sum(2, dtype=torch.int32)
    placed = board.zobrist.index_select(1, board.cells.index_select(0, point)) * mover[:, 0]
    return _joined(terms.sum(2, dtype=torch.int32).index_select(1, row) + placed - lost)


def _among(hashes: Tensor, row: Tensor, earlier: Tensor) -> Tensor:
    """bool [N]: whether hashes int64 [N] are in their row of `earlier`."""
    # A table of used slots leaves few hashes to compare with all earlier positions.
    used = torch.zeros((len(earlier), _FILTER), dtype=torch.bool).scatter_(1, earlier & (_FILTER - 1), True)
    found = used[row, hashes & (_FILTER - 1)]
    some = found.nonzero()[:, 0]
    found[some] = (earlier.index_select(0, row[some]) == hashes[some, None]).any(1)
    return found


def _terms(board: Geometry, stones: Tensor) -> Tensor:
    """int32 [2, B, S]: what each stone adds to the two sums of the hash."""
    return stones * board.zobrist[:, None]


def _joined(sums: Tensor) -> Tensor:
    """int64 [N] from two sums int32 [2, N]."""
    high, low = sums.long()
    return (high << 32) | (low & 0xFFFFFFFF)
