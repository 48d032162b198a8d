"""Actions of legal-move words: as a mask, as slots, and one of them by its number."""

import torch
from torch import Tensor

from agents.games.chess.bits import byte_sums, nth_bit
from agents.games.chess.geometry import ACTIONS, Tables

SLOTS = 218
"""The most legal moves of a position that a game can reach (Gotla, "There are at most 218 moves", 2024)."""


def mask(words: Tensor, tables: Tables) -> Tensor:
    """bool [B, 4672] of words int64 [B, 73]."""
    # One 64-bit element of the table holds the eight bools of a byte.
    bytes_ = words.view(torch.uint8).flatten().to(torch.int32)
    return tables.bytes_to_bools.index_select(0, bytes_).view(torch.bool).view(-1, ACTIONS)


def counts(words: Tensor) -> Tensor:
    """int64 [B]: the number of legal moves."""
    return ((byte_sums(words) >> 56) & 0xFF).sum(1)


def slots(words: Tensor, tables: Tables) -> Tensor:
    """int64 [B, 218]: the legal actions in ascending order, then -1."""
    batch, planes = words.shape
    sums = byte_sums(words)
    ends = ((sums >> 56) & 0xFF).cumsum(1)
    # Each plane with moves writes its number into its first slot; the running maximum fills the slots up to the next.
    starts = torch.nn.functional.pad(ends[:, :-1], (1, 0))
    plane = torch.arange(planes, device=words.device).expand(batch, -1)
    first = torch.where(ends > starts, starts, SLOTS)
    owner = words.new_zeros(batch, SLOTS + 1).scatter_(1, first, plane)[:, :SLOTS].cummax(1).values
    slot = torch.arange(SLOTS, device=words.device)
    square = nth_bit(words.gather(1, owner), sums.gather(1, owner), slot - starts.gather(1, owner), tables.nth)
    return torch.where(slot < ends[:, -1:], owner * 64 + square, -1)


def nth_action(words: Tensor, number: Tensor, tables: Tables) -> Tensor:
    """int64 [B]: the action in slot `number` [B], counted from 0; number must be less than the count."""
    sums = byte_sums(words)
    ends = ((sums >> 56) & 0xFF).cumsum(1)
    plane = (ends <= number[:, None]).sum(1, keepdim=True).clamp_(max=words.shape[1] - 1)
    word, sum_ = words.gather(1, plane)[:, 0], sums.gather(1, plane)[:, 0]
    before = ends.gather(1, plane)[:, 0] - ((sum_ >> 56) & 0xFF)
    return plane[:, 0] * 64 + nth_bit(word, sum_, number - before, tables.nth)
