"""Draws: dead positions by material, and repetition along the history."""

import torch
from torch import Tensor

from agents.games.chess.position import Position
from agents.games.words import signed

_DARK = signed(0xAA55AA55AA55AA55)


def insufficient_material(position: Position) -> Tensor:
    """bool [B]: no sequence of legal moves mates, since there are too few pieces (FIDE Laws of Chess, article 5.2.2).

    King against king, with one knight, or with any bishops that all stand on squares of one colour. Other dead
    positions, such as blocked pawns, play on until another rule ends the game.
    """
    pawns, knights, bishops, rooks, queens, _ = position.words[:, :6].unbind(1)
    one_knight = (knights & (knights - 1)) == 0
    one_colour = ((bishops & _DARK) == 0) | ((bishops & ~_DARK) == 0)
    minor = torch.where(knights == 0, one_colour, one_knight & (bishops == 0))
    return ((pawns | rooks | queens) == 0) & minor


def earlier_occurrences(key: Tensor, keys: Tensor, position: Position) -> Tensor:
    """int64 [B]: how often a position was on the board before, since the last capture or move of a pawn.

    key: int64 [B], of the position. keys: int64 [B, T], ring of the keys of the game's positions, p % T after p plies.
    """
    size = keys.shape[1]
    age = (position.plies[:, None] - torch.arange(size, device=keys.device)) % size
    seen = (keys == key[:, None]) & (age > 0) & (age <= position.clock[:, None])
    return seen.sum(1)
