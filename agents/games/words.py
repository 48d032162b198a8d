"""64-bit words in int64 tensors: logical shifts, constants and hashes, shared by the games on bitboards."""

import torch
from torch import Tensor


def signed(word: int) -> int:
    """An unsigned 64-bit integer as the int64 with the same bits."""
    return (word + (1 << 63)) % (1 << 64) - (1 << 63)


def shifted_right(words: Tensor, bits: int) -> Tensor:
    """Logical shift to the right by 1 to 63 bits."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)


def hashed(words: Tensor) -> Tensor:
    """int64 [B]: a hash of all words [B, n]; it depends on their places.

    Each word is mixed by the finaliser of SplitMix64 (Steele, Lea, Flood 2014, fig. 14) after an offset of its place.
    """
    offsets = torch.arange(1, words.shape[1] + 1, device=words.device) * signed(0x9E3779B97F4A7C15)
    mixed = words + offsets
    mixed = (mixed ^ shifted_right(mixed, 30)) * signed(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ shifted_right(mixed, 27)) * signed(0x94D049BB133111EB)
    return (mixed ^ shifted_right(mixed, 31)).sum(1)
