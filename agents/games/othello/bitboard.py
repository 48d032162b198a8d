"""Sets of cells of an N x N board as words: bit N * row + column of an int64 is a cell, row 0 on top.

Shifts to the right are arithmetic in torch. They are right here because no word that is shifted to the right has bit 63
where the bits that it fills up would matter: see `runs`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Bitboard(NamedTuple):
    """Constants of a board of N x N cells on one device.

    step: int64 [4], the distance of a neighbour to the right, below to the left, below, and below to the right; the
    other four directions are their opposites.
    inner: int64 [4], cells that have a neighbour on both sides along a direction: only these can be captured along it.
    bits: int64 [A], the word of each action; 0 for a pass.
    byte_cells: int64 [256], the bits of a byte as eight bytes of 0 and 1. byte_counts: int64 [256], their number.
    """

    size: int
    step: Tensor
    inner: Tensor
    bits: Tensor
    byte_cells: Tensor
    byte_counts: Tensor

    def runs(self, start: Tensor, through: Tensor) -> tuple[Tensor, Tensor]:
        """The cells of unbroken lines through `through` int64 [..., 4] that begin beside a cell of `start` int64 [...].

        Returns them along each direction and along its opposite, int64 [..., 4]. `through` contains `inner` cells only,
        so that no line continues on the other side of the board, and its words do not have bit 63.
        """
        step, twice = self.step, 2 * self.step
        start = start[..., None]
        # Lines of one cell, then of two, four and six (parallel prefix).
        up, down = (start << step) & through, (start >> step) & through
        up, down = up | (up << step) & through, down | (down >> step) & through
        pairs_up, pairs_down = through & (through << step), through & (through >> step)
        for _ in range((self.size - 4 + 1) // 2):
            up, down = up | (up << twice) & pairs_up, down | (down >> twice) & pairs_down
        return up, down

    def moves(self, discs: Tensor) -> Tensor:
        """int64 [B, 2]: cells where each player may place a disc, from the discs [B, 2] of both."""
        up, down = self.runs(discs, discs.flip(1)[..., None] & self.inner)
        beyond = (up << self.step) | (down >> self.step)
        pairs = beyond[..., :2] | beyond[..., 2:]
        return (pairs[..., 0] | pairs[..., 1]) & ~(discs[:, :1] | discs[:, 1:])

    def captured(self, placed: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """int64 [B]: discs of the `other` player that a disc at `placed` captures, all int64 [B]."""
        up, down = self.runs(placed, other[:, None] & self.inner)
        own = own[:, None]
        up = torch.where(((up << self.step) & own) != 0, up, 0)
        down = torch.where(((down >> self.step) & own) != 0, down, 0)
        return (up + down).sum(1)

    def cells(self, words: Tensor) -> Tensor:
        """uint8 [..., P]: 1 for the cells of words int64 [...], else 0."""
        spread = self.byte_cells.index_select(0, _bytes(words)).view(torch.uint8).view(*words.shape, 64)
        return spread[..., : self.size**2]

    def counts(self, words: Tensor) -> Tensor:
        """int64 [...]: number of cells of each word."""
        return self.byte_counts.index_select(0, _bytes(words)).view(*words.shape, 8).sum(-1)


def _bytes(words: Tensor) -> Tensor:
    """int32 [n * 8]: the bytes of n words, the lowest of each first."""
    return words.contiguous().view(torch.uint8).flatten().to(torch.int32)


@cache
def bitboard(size: int, device: torch.device) -> Bitboard:
    """Constants of an N x N board, N at most 8, on a device."""
    rows, columns = np.divmod(np.arange(size * size), size)
    sideways, vertical = ((x > 0) & (x < size - 1) for x in (columns, rows))
    inner = [_word(np.flatnonzero(cells)) for cells in (sideways, sideways & vertical, vertical, sideways & vertical)]
    bits = [_word(np.array([cell])) for cell in range(size * size)] + [0]
    byte_bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    return Bitboard(
        size,
        torch.tensor([1, size - 1, size, size + 1], device=device),
        torch.tensor(inner, device=device),
        torch.tensor(bits, device=device),
        torch.from_numpy(byte_bits.view(np.int64)[:, 0]).to(device),
        torch.from_numpy(byte_bits.sum(1, dtype=np.int64)).to(device),
    )


def _word(cells: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
    """The int64 with the bits of these cells."""
    word = sum(1 << int(cell) for cell in cells)
    return word - (1 << 64) if word >> 63 else word
