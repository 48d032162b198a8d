"""Sets of squares as words: bit s of an int64 is square s = 8 * rank + file, a1 = 0, h8 = 63.

Shifts to the right are arithmetic in torch: with bit 63 set they fill the upper bits with ones. Every function here and
every caller masks those bits.
"""

import torch
from torch import Tensor

_DE_BRUIJN = 0x03F79D71B4CB0A89
"""Its 64 windows of six bits are all different, so that multiplying by a power of two shows the exponent."""


def lowest(words: Tensor) -> Tensor:
    """The lowest set bit of each word; 0 for 0."""
    return words & -words


def bit_index_table(device: torch.device) -> Tensor:
    """int64 [64] for `bit_index`."""
    table = torch.zeros(64, dtype=torch.int64)
    for square in range(64):
        table[((_DE_BRUIJN << square) % (1 << 64)) >> 58] = square
    return table.to(device)


def bit_index(words: Tensor, table: Tensor) -> Tensor:
    """int64 [B]: the square of words [B] with one bit each; any square for 0."""
    return table.index_select(0, ((words * _DE_BRUIJN) >> 58) & 63)


def flipped(words: Tensor) -> Tensor:
    """The board upside down, rank 1 with rank 8: the bytes of each word in reverse order."""
    return words.view(torch.uint8).view(*words.shape, 8).flip(-1).view(torch.int64)[..., 0]


def one_bit(squares: Tensor) -> Tensor:
    """Words with one bit each, for squares 0 to 63."""
    return torch.ones_like(squares) << squares
