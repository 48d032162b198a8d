"""Sets of squares as words: bit s of an int64 is square s = 8 * rank + file, a1 = 0, h8 = 63.

Shifts to the right are arithmetic in torch: with bit 63 set they fill the upper bits with ones. Every function here and
every caller masks those bits.
"""

import torch
from torch import Tensor

_DE_BRUIJN = 0x03F79D71B4CB0A89
"""Its 64 windows of six bits are all different, so that multiplying by a power of two shows the exponent."""


def signed(word: int) -> int:
    """An unsigned 64-bit integer as the int64 with the same bits."""
    return (word + (1 << 63)) % (1 << 64) - (1 << 63)


def shifted_right(words: Tensor, bits: int) -> Tensor:
    """Logical shift to the right by 1 to 63 bits."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)


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


def hashed(words: Tensor) -> Tensor:
    """int64 [B]: a hash of all words [B, n]; it depends on their places.

    Each word is mixed by the finaliser of SplitMix64 (Steele, Lea, Flood 2014, fig. 14) after an offset of its place.
    """
    offsets = torch.arange(1, words.shape[1] + 1, device=words.device) * signed(0x9E3779B97F4A7C15)
    mixed = words + offsets
    mixed = (mixed ^ shifted_right(mixed, 30)) * signed(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ shifted_right(mixed, 27)) * signed(0x94D049BB133111EB)
    return (mixed ^ shifted_right(mixed, 31)).sum(1)
