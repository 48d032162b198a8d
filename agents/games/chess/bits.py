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


def byte_sums(words: Tensor) -> Tensor:
    """Byte i of the result is the number of bits set in bytes 0 to i; the last byte is the population count.

    Warren, Hacker's Delight, section 5-1.
    """
    pairs = words - ((words >> 1) & 0x5555555555555555)
    nibbles = (pairs & 0x3333333333333333) + ((pairs >> 2) & 0x3333333333333333)
    return (((nibbles + (nibbles >> 4)) & 0x0F0F0F0F0F0F0F0F)) * 0x0101010101010101


def population(words: Tensor) -> Tensor:
    """The number of bits set in each word."""
    return (byte_sums(words) >> 56) & 0xFF


def nth_bit_table(device: torch.device) -> Tensor:
    """int64 [256 * 8]: the place of set bit r (from 0) of a byte, at 8 * byte + r."""
    rows = [[place for place in range(8) if byte >> place & 1] for byte in range(256)]
    return torch.tensor([place for row in rows for place in (row + [0] * 8)[:8]], device=device)


def nth_bit(words: Tensor, sums: Tensor, rank: Tensor, table: Tensor) -> Tensor:
    """The square of set bit `rank` (from 0) of each word; any square where there are fewer bits.

    sums: `byte_sums(words)`. All arguments but the table have one shape.
    Vigna, Broadword Implementation of Rank/Select Queries (2008), algorithm 2.
    """
    # A byte's high bit remains where the sum up to it is at most the rank: those bytes lie before the bit.
    before = (((rank * 0x0101010101010101 | signed(0x8080808080808080)) - sums) >> 7) & 0x0101010101010101
    start = ((before * 0x0101010101010101) >> 53) & 0x38
    byte = (words >> start) & 0xFF
    rest = (rank - ((sums << 8) >> start)) & 0x7
    return start + table.index_select(0, ((byte << 3) + rest).flatten()).view_as(start)


def flipped(words: Tensor) -> Tensor:
    """The board upside down, rank 1 with rank 8: the bytes of each word in reverse order."""
    return words.view(torch.uint8).view(*words.shape, 8).flip(-1).view(torch.int64)[..., 0]


def one_bit(squares: Tensor) -> Tensor:
    """Words with one bit each, for squares 0 to 63."""
    return torch.ones_like(squares) << squares


def has(words: Tensor, squares: Tensor) -> Tensor:
    """bool: whether each word has the bit of its square."""
    return ((words >> squares) & 1) == 1
