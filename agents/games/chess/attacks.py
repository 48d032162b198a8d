"""Attacked squares, checks and pins, from words of pieces and no trial move."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.chess.bits import bit_index, lowest
from agents.games.chess.geometry import BISHOP, KING, KNIGHT, PAWN, QUEEN, ROOK, Tables
from agents.games.words import shifted_right, signed

_NOT_A, _NOT_H = signed(0xFEFEFEFEFEFEFEFE), 0x7F7F7F7F7F7F7F7F
_NOT_AB, _NOT_GH = signed(0xFCFCFCFCFCFCFCFC), 0x3F3F3F3F3F3F3F3F


class KingSafety(NamedTuple):
    """What the mover's king allows, for B boards.

    checkers: int64 [B], enemy pieces that give check.
    evasions: int64 [B], squares on which another piece must land: all without check; the square of a single checker and
    those between it and the king; none with two checkers.
    free: int64 [B, 8], pieces that may move along each direction: all but those pinned along another axis.
    unpinned: int64 [B]. safe: int64 [B], squares that the enemy does not attack once the king has left its own.
    """

    checkers: Tensor
    evasions: Tensor
    free: Tensor
    unpinned: Tensor
    safe: Tensor


def sliders(pieces: Tensor) -> Tensor:
    """The pieces that slide along each direction: int64 [B, 6] -> [B, 4], which holds for both halves."""
    diagonal = pieces[:, BISHOP] | pieces[:, QUEEN]
    straight = pieces[:, ROOK] | pieces[:, QUEEN]
    return torch.stack([straight, diagonal, straight, diagonal], 1)


def king_safety(own: Tensor, enemy: Tensor, occupied: Tensor, tables: Tables) -> KingSafety:
    """own, enemy: int64 [B, 6], pieces by kind. occupied: int64 [B]."""
    king = own[:, KING]
    square = bit_index(king, tables.bits)
    rays = tables.rays.index_select(0, square)
    enemies = sliders(enemy)
    first, rest = first_blockers(rays, occupied[:, None], tables)
    second, _ = first_blockers(rest, rest, tables)
    checking = first & enemies[:, None]
    # The rays of a king have no square in common, so that sums are unions.
    checkers = checking.sum((1, 2)) + leapers(square, enemy, tables)
    # Up to the first piece: bits up to its own on rays of the first half, from its own upwards on the others.
    up, down = checking[:, 0], checking[:, 1]
    between = (rays[:, 0] & (up ^ (up - 1)) & -(up != 0).long()).sum(1) + (rays[:, 1] & -down).sum(1)
    double = (checkers & (checkers - 1)) != 0
    evasions = torch.where(checkers == 0, -1, torch.where(double, 0, between | checkers))
    pinned = torch.where((second & enemies[:, None]) != 0, first, 0)  # an enemy piece here cannot be the mover's
    along = pinned[:, 0] | pinned[:, 1]
    unpinned = ~along.sum(1)
    free = (along | unpinned[:, None]).repeat(1, 2)
    safe = ~attacked(enemy, enemies, ~(occupied ^ king), tables)
    return KingSafety(checkers, evasions, free, unpinned, safe)


def first_blockers(rays: Tensor, occupied: Tensor, tables: Tables) -> tuple[Tensor, Tensor]:
    """The nearest occupied square on each ray, and the further ones: int64 [..., 2, 4] each, 0 where there is none.

    rays: int64 [..., 2, 4] of one square, both halves. occupied: int64 that broadcasts against them.
    """
    blockers = rays & (occupied if occupied.dim() == rays.dim() else occupied[..., None])
    up, down = blockers[..., 0, :], blockers[..., 1, :]
    # On rays of the second half the nearest square is the highest bit, which is never bit 63: fill the ray behind it.
    fill = down | (down >> tables.stride)
    fill = fill | (fill >> 2 * tables.stride)
    fill = fill | (fill >> 4 * tables.stride)
    nearest = torch.stack([lowest(up), fill & ~(fill >> tables.stride)], -2)
    return nearest, blockers ^ nearest


def leapers(square: Tensor, enemy: Tensor, tables: Tables) -> Tensor:
    """int64 [B]: enemy pawns and knights that attack a square int64 [B]."""
    from_pawns, from_knights = tables.leaps.index_select(0, square).unbind(1)
    return from_pawns & enemy[:, PAWN] | from_knights & enemy[:, KNIGHT]


def attacked(enemy: Tensor, enemies: Tensor, empty: Tensor, tables: Tables) -> Tensor:
    """int64 [B]: squares that the enemy attacks. enemies: its `sliders` [B, 4]. empty: int64 [B]."""
    pawns, knights, king = enemy[:, PAWN], enemy[:, KNIGHT], enemy[:, KING]
    by_pawns = (pawns >> 9) & (_NOT_H & (1 << 55) - 1) | (pawns >> 7) & (_NOT_A & (1 << 57) - 1)
    one = (knights >> 1) & _NOT_H | (knights << 1) & _NOT_A
    two = (knights >> 2) & _NOT_GH | (knights << 2) & _NOT_AB
    by_knights = (one << 16) | shifted_right(one, 16) | (two << 8) | shifted_right(two, 8)
    row = king | (king >> 1) & _NOT_H | (king << 1) & _NOT_A
    by_king = row | (row << 8) | shifted_right(row, 8)
    slides = _slides(enemies, empty[:, None], tables)
    half = slides[:, :4] | slides[:, 4:]
    by_sliders = half[:, 0] | half[:, 1] | half[:, 2] | half[:, 3]
    return by_pawns | by_knights | by_king | by_sliders


def _slides(pieces: Tensor, empty: Tensor, tables: Tables) -> Tensor:
    """int64 [B, 8]: squares that sliders [B, 4] attack in each direction. empty: int64 [B, 1].

    Kogge-Stone: the set of reached squares doubles its reach three times (chessprogramming.org/Kogge-Stone_Algorithm).
    """
    one, two, four = tables.stride, 2 * tables.stride, 4 * tables.stride
    up, down = pieces, pieces
    onto_up, onto_down = (empty & side for side in tables.step_to)
    up = up | onto_up & (up << one)
    down = down | onto_down & (down >> one)
    onto_up = onto_up & (onto_up << one)
    onto_down = onto_down & (onto_down >> one)
    up = up | onto_up & (up << two)
    down = down | onto_down & (down >> two)
    onto_up = onto_up & (onto_up << two)
    onto_down = onto_down & (onto_down >> two)
    up = up | onto_up & (up << four)
    down = down | onto_down & (down >> four)
    return torch.cat([(up << one) & tables.step_to[0], (down >> one) & tables.step_to[1]], 1)
