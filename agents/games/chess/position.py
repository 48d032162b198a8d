"""Positions of B boards from the mover's view, and how a move changes them."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.chess.bits import flipped, one_bit
from agents.games.chess.geometry import KING, PAWN, RANK_2, RANK_8, ROOK, Tables
from agents.games.words import signed

WORDS = 9
_INITIAL = (
    0x00FF00000000FF00,
    0x4200000000000042,
    0x2400000000000024,
    signed(0x8100000000000081),
    0x0800000000000008,
    0x1000000000000010,
    0xFFFF,
    signed(0x8100000000000081),
    0,
)
_KING_HOME, _KING_ROOK, _QUEEN_ROOK = 1 << 4, 0x80, 0x01
_KINGSIDE_ROOK, _QUEENSIDE_ROOK = 0xA0, 0x09  # the rook's squares before and after castling


class Position(NamedTuple):
    """B positions. Rank 1 is the mover's own first rank; files are the same for both players.

    words: int64 [B, 9], sets of squares: pawns, knights, bishops, rooks, queens and kings of both players, the mover's
    pieces, the rooks' squares with which castling is not yet lost, and the square behind a pawn that moved two squares.
    clock: int64 [B], plies since a pawn moved or a piece was captured.
    plies: int64 [B], plies since the beginning; White is to move where it is even.
    """

    words: Tensor
    clock: Tensor
    plies: Tensor

    @property
    def own(self) -> Tensor:
        return self.words[:, 6]

    @property
    def castling(self) -> Tensor:
        return self.words[:, 7]

    @property
    def en_passant(self) -> Tensor:
        return self.words[:, 8]

    def occupied(self) -> Tensor:
        """int64 [B]: squares with a piece."""
        pawns, knights, bishops, rooks, queens, kings = self.words[:, :6].unbind(1)
        return pawns | knights | bishops | rooks | queens | kings

    def own_pieces(self) -> Tensor:
        """int64 [B, 6]: the mover's pieces by kind."""
        return self.words[:, :6] & self.words[:, 6:7]

    def enemy_pieces(self) -> Tensor:
        """int64 [B, 6]: the other player's pieces by kind."""
        return self.words[:, :6] & ~self.words[:, 6:7]

    def other_side(self) -> "Position":
        """The same boards with the other player to move, without en passant."""
        others = self.occupied() ^ self.own
        words = torch.cat(
            [self.words[:, :6], others[:, None], self.words[:, 7:8], torch.zeros_like(others)[:, None]], 1
        )
        return Position(flipped(words), self.clock, self.plies)


def initial_position(batch: int, device: torch.device) -> Position:
    """The beginning of a game on B boards."""
    zeros = torch.zeros(batch, dtype=torch.int64, device=device)
    return Position(torch.tensor(_INITIAL, device=device).repeat(batch, 1), zeros, zeros.clone())


def after_move(position: Position, action: Tensor, tables: Tables) -> Position:
    """The positions after legal actions int64 [B], from the other player's view.

    After a pawn's two squares `en_passant` is the square behind it, whether or not it can be captured.
    """
    words, clock, plies = position
    plane, square = action >> 6, action & 63
    source = one_bit(square)
    target = one_bit((square + tables.plane_offset.index_select(0, plane)) & 63)
    moving = (words[:, :6] & source[:, None]) != 0
    pawn, king = moving[:, PAWN], moving[:, KING]
    own = words[:, 6]
    occupied = position.occupied()

    passing = pawn & (target == position.en_passant)
    captured = torch.where(passing, target >> 8, target & occupied)
    promotes = pawn & ((target & RANK_8) != 0)
    becomes = torch.where(promotes[:, None], tables.promotion.index_select(0, plane), moving)
    gone = source | captured
    pieces = words[:, :6] & ~gone[:, None] | becomes * target[:, None]
    castles_king = king & (source == _KING_HOME) & (target == 1 << 6) & ((position.castling & _KING_ROOK) != 0)
    castles_queen = king & (source == _KING_HOME) & (target == 1 << 2) & ((position.castling & _QUEEN_ROOK) != 0)
    rook = castles_king * _KINGSIDE_ROOK | castles_queen * _QUEENSIDE_ROOK
    own_after = (own & ~source | target) ^ rook
    occupied_after = (occupied & ~gone | target) ^ rook
    castling = words[:, 7] & ~(source | target | king * (_KING_ROOK | _QUEEN_ROOK))
    double = pawn & ((source & RANK_2) != 0) & (target == source << 16)
    after = torch.cat(
        [
            pieces,
            (occupied_after ^ own_after)[:, None],
            castling[:, None],
            (double * (source << 8))[:, None],
        ],
        1,
    )
    after[:, ROOK] ^= rook
    return Position(flipped(after), torch.where(pawn | (captured != 0), 0, clock + 1), plies + 1)
