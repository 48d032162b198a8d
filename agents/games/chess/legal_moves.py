"""Legal moves as 73 words per board: bit s of word p says that action p * 64 + s is legal.

All pieces of a board move at once. A word of squares that is moved back by a step shows from where that step leads
into it; a move of k squares needs k - 1 empty squares and a target. Pins and checks are masks (`attacks`), so that no
move is tried; only en passant, which takes two pieces off a rank, looks at the king's rays again.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.chess.attacks import KingSafety, attacked, first_blockers, king_safety, leapers, sliders
from agents.games.chess.bits import bit_index
from agents.games.chess.geometry import (
    EAST,
    KING,
    KNIGHT,
    NORTH,
    NORTH_EAST,
    NORTH_WEST,
    PAWN,
    PROMOTIONS,
    QUEEN_PLANES,
    RANK_2,
    RANK_7,
    WEST,
    Tables,
)
from agents.games.chess.position import Position

_KINGSIDE, _QUEENSIDE = 0x80, 0x01  # the rooks' squares, which are the bits of the rights
_KINGSIDE_EMPTY, _QUEENSIDE_EMPTY = 0x60, 0x0E
_KINGSIDE_SAFE, _QUEENSIDE_SAFE = 0x70, 0x1C


class LegalMoves(NamedTuple):
    """words: int64 [B, 73]. check: bool [B], the mover's king is attacked. en_passant: bool [B], it is a legal move."""

    words: Tensor
    check: Tensor
    en_passant: Tensor


def legal_moves(position: Position, tables: Tables) -> LegalMoves:
    """The legal moves of B positions; `en_passant` of a position may be set where no pawn can capture."""
    own, enemy = position.own_pieces(), position.enemy_pieces()
    occupied = position.occupied()
    safety = king_safety(own, enemy, occupied, tables)
    empty = moved_back(~occupied, tables.slide_shift, tables.slide_from)  # [B, 7, 8]
    target = ~position.own & safety.evasions
    onto = moved_back(target, tables.slide_shift, tables.slide_from)
    pawns, king = own[:, PAWN, None], own[:, KING, None]
    free = safety.free

    words = torch.empty(len(own), PROMOTIONS + 9, dtype=torch.int64, device=own.device)
    slides = words[:, :QUEEN_PLANES].view(-1, 7, 8)
    movers = sliders(own).repeat(1, 2) & free
    way = movers
    for distance in range(1, 7):
        way = way & empty[:, distance - 1]
        torch.bitwise_and(way, onto[:, distance], out=slides[:, distance])
    # One square: pawns push onto empty squares and capture on others.
    marching = pawns & free & tables.pawn & (empty[:, 0] ^ tables.capture)
    stepping = moved_back(~position.own & safety.safe, tables.stride, tables.slide_from[:, :4])[:, 0]
    slides[:, 0] = (movers | marching) & onto[:, 0] | king & stepping
    slides[:, 1, NORTH] |= marching[:, NORTH] & RANK_2 & empty[:, 1, NORTH] & onto[:, 1, NORTH]
    castle_king, castle_queen = _castling(position, occupied, safety)
    slides[:, 1, EAST] |= castle_king
    slides[:, 1, WEST] |= castle_queen
    passing = _en_passant(position, own, enemy, occupied, tables)
    slides[:, 0, NORTH_EAST] |= passing[:, 0]
    slides[:, 0, NORTH_WEST] |= passing[:, 1]
    knights = (own[:, KNIGHT] & safety.unpinned)[:, None]
    words[:, QUEEN_PLANES:PROMOTIONS] = knights & moved_back(target, tables.jump_shift, tables.jump_from)[:, 0]
    promoting = slides[:, 0].index_select(1, tables.promoting) & (pawns & RANK_7)
    words[:, PROMOTIONS:] = promoting.repeat(1, 3)
    return LegalMoves(words, safety.checkers != 0, (passing != 0).any(1))


def other_king_attacked(position: Position, tables: Tables) -> Tensor:
    """bool [B]: the player who is not to move is in check, or the kings touch; no game has such a position."""
    other = position.other_side()
    enemy = other.enemy_pieces()
    return (attacked(enemy, sliders(enemy), ~other.occupied(), tables) & other.own_pieces()[:, KING]) != 0


def moved_back(words: Tensor, shift: Tensor, stay: Tensor) -> Tensor:
    """For each step the squares from which it leads into a word: int64 [B] -> [B, n / 4, 8].

    shift: int64 [n] of the first half's steps. stay: int64 [2, n], squares from which steps stay on the board.
    """
    first = (words[:, None] >> shift) & stay[0]
    second = (words[:, None] << shift) & stay[1]
    shape = (len(words), len(shift) // 4, 4)
    return torch.stack([first.view(shape), second.view(shape)], 2).flatten(2)


def _castling(position: Position, occupied: Tensor, safety: KingSafety) -> tuple[Tensor, Tensor]:
    """The king's square where it may castle on its own side and on the queen's, else 0: int64 [B] each."""
    can_king = (occupied & _KINGSIDE_EMPTY | ~safety.safe & _KINGSIDE_SAFE) == 0
    can_queen = (occupied & _QUEENSIDE_EMPTY | ~safety.safe & _QUEENSIDE_SAFE) == 0
    home = 1 << 4
    king = ((position.castling & _KINGSIDE) != 0) & can_king
    queen = ((position.castling & _QUEENSIDE) != 0) & can_queen
    return king * home, queen * home


def _en_passant(position: Position, own: Tensor, enemy: Tensor, occupied: Tensor, tables: Tables) -> Tensor:
    """int64 [B, 2]: the pawns that capture en passant to the north-east and to the north-west.

    The king's rays are followed with both pawns gone, since a rook may have stood behind the two.
    """
    target = position.en_passant
    captured = target >> 8
    pawns = own[:, PAWN, None] & (target[:, None] >> tables.pawn_shift) & tables.pawn_from
    square = bit_index(own[:, KING], tables.bits)
    after = occupied[:, None] ^ pawns ^ (captured | target)[:, None]  # [B, 2]
    first, _ = first_blockers(tables.rays.index_select(0, square)[:, None], after[..., None], tables)
    open_ray = ((first & sliders(enemy)[:, None, None]) != 0).flatten(2).any(-1)
    attackers = leapers(square, enemy, tables) & ~captured
    return torch.where(open_ray | (attackers != 0)[:, None], 0, pawns)
