"""Observations of chess: AlphaZero's 119 planes, in its order but for the two planes of numbers, which are last.

Planes of the latest position and of the seven before it, 14 each: the viewer's pawns, knights, bishops, rooks, queens
and king; the other player's; whether the position had occurred once, and twice, before. Then one plane each: the viewer
is Black; the viewer may still castle on the king's side, on the queen's side; the other player may. Then two numbers:
plies / `max_plies`, and plies without a capture or a move of a pawn / 100. Positions before the beginning are zeros.
Fewer positions make the network's first layer smaller; a single one does not show whether en passant is legal.

Row 0 is the viewer's first rank, column 0 the a file. Source: Silver et al. 2018, supplementary materials, table S1.
"""

import torch
from torch import Tensor

from agents.games.chess.actions import bits
from agents.games.chess.bits import flipped
from agents.games.chess.geometry import ALL, Tables
from agents.games.chess.state import OBSERVED, ChessState

POSITION_PLANES = 14
NUMBER_PLANES = 2


def shape(positions: int) -> tuple[int, int, int]:
    """(C, 8, 8) of observations with this many positions; 8 have 119 planes."""
    return positions * POSITION_PLANES + 5 + NUMBER_PLANES, 8, 8


def recent(state: ChessState, positions: int) -> Tensor:
    """int64 [B, positions, 8]: the entries of the latest positions (see `ChessState`), the latest first."""
    ages = torch.arange(positions, device=state.plies.device)
    place = ((state.plies[:, None] - ages) % OBSERVED)[..., None]
    return state.boards.gather(1, place.expand(-1, -1, state.boards.shape[2]))


def observed(state: ChessState, viewer: Tensor, positions: int, max_plies: int, tables: Tables) -> Tensor:
    """float32 [B, C, 8, 8] as the players `viewer` int64 [B] see the boards, with up to 8 positions."""
    batch, device = len(state.plies), viewer.device
    ages = torch.arange(positions, device=device)
    ply = state.plies[:, None] - ages
    entries = recent(state, positions)
    pieces, own, occurrences = entries[..., :6], entries[..., 6:7], entries[..., 7:]
    mine, theirs = pieces & own, pieces & ~own
    # An entry is seen from the side that was to move then.
    as_mover = torch.cat([mine, theirs], 2)
    as_other = flipped(torch.cat([theirs, mine], 2))
    sides = torch.where((ply % 2 == viewer[:, None])[..., None], as_mover, as_other)
    repeated = -torch.cat([occurrences >= 1, occurrences >= 2], 2).to(torch.int64)
    black = viewer[:, None] * ALL
    rights = -((state.words[:, 7:8] >> tables.castling) & 1)
    rights = torch.where((state.plies % 2 == viewer)[:, None], rights, rights.roll(2, 1))
    numbers = state.words.new_zeros((batch, NUMBER_PLANES))
    words = torch.cat([torch.cat([sides, repeated], 2).flatten(1), black, rights, numbers], 1)
    planes = bits(words, tables).to(torch.float32).view(batch, *shape(positions))
    planes[:, -2] = (state.plies / max_plies)[:, None, None]
    planes[:, -1] = (state.clock / 100)[:, None, None]
    return planes
