"""Actions of legal-move words: as a mask and as slots."""

import torch
from torch import Tensor

from agents.games.chess.geometry import ACTIONS, PLANES, Tables

SLOTS = 218
"""The most legal moves of a position that a game can reach (chessprogramming.org/Chess_Position)."""
_BYTES = PLANES * 8


def mask(words: Tensor, tables: Tables) -> Tensor:
    """bool [B, 4672] of words int64 [B, 73]."""
    return bits(words, tables).view(torch.bool).view(-1, ACTIONS)


def bits(words: Tensor, tables: Tables) -> Tensor:
    """uint8 [B, n, 64]: the bits of words int64 [B, n]."""
    # One 64-bit element of the table holds the eight bits of a byte.
    return tables.byte_bools.index_select(0, _bytes(words).flatten()).view(torch.uint8).view(*words.shape, 64)


def slots(words: Tensor, tables: Tables) -> Tensor:
    """int64 [B, 218]: the actions of words int64 [B, 73] in ascending order, then -1.

    The bits are counted byte by byte, eight squares of one plane each; slot k is in the byte up to which there are at
    most k bits.
    """
    batch, device = len(words), words.device
    bytes_ = _bytes(words)
    count = tables.byte_counts.index_select(0, bytes_.flatten()).view(batch, _BYTES)
    ends = count.cumsum(1, dtype=torch.int32)
    # Number of bytes that end at or before each slot. More than 218 moves, which no game reaches, are cut off.
    ones = torch.ones((), dtype=torch.int32, device=device).expand(batch, _BYTES)
    ending = torch.zeros((batch, SLOTS + 1), dtype=torch.int32, device=device)
    owner = ending.scatter_add_(1, ends.clamp(max=SLOTS).long(), ones)[:, :SLOTS].cumsum(1).clamp_(max=_BYTES - 1)
    slot = torch.arange(SLOTS, dtype=torch.int32, device=device)
    number = slot - (ends - count).gather(1, owner)
    place = (bytes_.gather(1, owner) << 3) + (number & 7)
    square = tables.byte_squares.index_select(0, place.flatten()).view(batch, SLOTS)
    return torch.where(slot < ends[:, -1:], (owner << 3) + square, -1)


def _bytes(words: Tensor) -> Tensor:
    """int32 [B, 8 * n]: byte i has bits 8 * i to 8 * i + 7. Little-endian, as all supported machines are."""
    return words.view(torch.uint8).to(torch.int32)
