"""The 73 action planes of a square and the tables of the board: steps, rays, leaps.

An action is plane * 64 + square: the piece on `square` moves as the plane says (Silver et al. 2018, "A general
reinforcement learning algorithm that masters chess, shogi, and Go through self-play", supplementary materials, "Move
representation"). The board is seen from the mover's side, whose pawns move north, to the next rank. Planes:

- 8 * (distance - 1) + direction: 1 to 7 squares along a direction, as a queen moves. It is also the move of kings,
  castling (two squares), pawns, and pawns that become queens;
- 56 + jump: a knight's move;
- 64 + 3 * piece + direction: a pawn becomes a knight, bishop or rook, with a step north, north-east or north-west.

Directions come in two halves. Those of the first half add to a square and those of the second are their opposites, so
that each half is one shift of words to one side.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.chess.bits import bit_index_table
from agents.games.words import signed

NORTH, NORTH_EAST, EAST, NORTH_WEST, SOUTH, SOUTH_WEST, WEST, SOUTH_EAST = range(8)
STEPS = ((1, 0), (1, 1), (0, 1), (1, -1), (-1, 0), (-1, -1), (0, -1), (-1, 1))
"""(ranks, files) of the directions."""
JUMPS = ((2, 1), (1, 2), (2, -1), (1, -2), (-2, -1), (-1, -2), (-2, 1), (-1, 2))
"""(ranks, files) of a knight's moves; the second half again has the opposites."""
PROMOTION_DIRECTIONS = (NORTH, NORTH_EAST, NORTH_WEST)
PAWN, KNIGHT, BISHOP, ROOK, QUEEN, KING = range(6)
QUEEN_PLANES, KNIGHT_PLANES, PLANES = 56, 8, 73
PROMOTIONS = QUEEN_PLANES + KNIGHT_PLANES
ACTIONS = PLANES * 64
ALL = -1  # the word of all squares
RANK_2, RANK_7, RANK_8 = 0xFF00, 0xFF << 48, signed(0xFF << 56)


def plane_step(plane: int) -> tuple[int, int]:
    """(ranks, files) that a piece moves by an action of this plane."""
    if plane < QUEEN_PLANES:
        distance, (ranks, files) = plane // 8 + 1, STEPS[plane % 8]
        return ranks * distance, files * distance
    if plane < PROMOTIONS:
        return JUMPS[plane - QUEEN_PLANES]
    return STEPS[PROMOTION_DIRECTIONS[(plane - PROMOTIONS) % 3]]


def promoted_piece(plane: int) -> int:
    """The piece that a pawn becomes on the last rank by an action of this plane."""
    return QUEEN if plane < PROMOTIONS else KNIGHT + (plane - PROMOTIONS) // 3


def landing(square: int, ranks: int, files: int) -> int | None:
    """The square that many ranks and files away, None if it is off the board."""
    rank, file = square // 8 + ranks, square % 8 + files
    return 8 * rank + file if 0 <= rank < 8 and 0 <= file < 8 else None


class Tables(NamedTuple):
    """Constants on one device. `half` dimensions hold the directions of one side (see above).

    slide_shift, slide_from: int64 [7 * 4] and [2, 7 * 4], distance-major: shift of each move of the first half, and the
    squares from which the moves of each half stay on the board.
    jump_shift, jump_from: int64 [4] and [2, 4], the same of knights. pawn_shift, pawn_from: int64 [2], the same of a
    pawn's captures to the north-east and to the north-west.
    stride: int64 [4], shift of one step. step_to: int64 [2, 4], the squares that one step of each half can reach.
    rays: int64 [64, 2, 4], the squares in each direction. leaps: int64 [64, 2], the squares that attack a square as
    enemy pawns and as knights.
    capture, pawn: int64 [8], all ones for the directions in which pawns capture, and move at all.
    promoting: int64 [3], `PROMOTION_DIRECTIONS`. castling: int64 [4], squares of the rooks with which the mover castles
    on the king's and on the queen's side, and the other player.
    plane_offset: int64 [73]. promotion: bool [73, 6], the promoted piece.
    bits: for `bit_index`.
    byte_counts: int32 [256], number of bits of a byte. byte_squares: int32 [256 * 8], their places, ascending.
    byte_bools: int64 [256], the bits as eight bytes of 0 and 1.
    """

    slide_shift: Tensor
    slide_from: Tensor
    jump_shift: Tensor
    jump_from: Tensor
    pawn_shift: Tensor
    pawn_from: Tensor
    stride: Tensor
    step_to: Tensor
    rays: Tensor
    leaps: Tensor
    capture: Tensor
    pawn: Tensor
    promoting: Tensor
    castling: Tensor
    plane_offset: Tensor
    promotion: Tensor
    bits: Tensor
    byte_counts: Tensor
    byte_squares: Tensor
    byte_bools: Tensor


@cache
def tables(device: torch.device) -> Tables:
    """The tables on a device, made once."""
    slides = [(d * STEPS[k][0], d * STEPS[k][1]) for d in range(1, 8) for k in range(8)]
    halves = [[s for i, s in enumerate(slides) if i % 8 // 4 == half] for half in range(2)]
    jumps = [JUMPS[:4], JUMPS[4:]]
    captures = (STEPS[NORTH_EAST], STEPS[NORTH_WEST])
    values = {
        "slide_shift": [_shift(*step) for step in halves[0]],
        "slide_from": [[_squares_from(*step) for step in half] for half in halves],
        "jump_shift": [_shift(*jump) for jump in jumps[0]],
        "jump_from": [[_squares_from(*jump) for jump in half] for half in jumps],
        "pawn_shift": [_shift(*step) for step in captures],
        "pawn_from": [_squares_from(*step) for step in captures],
        "stride": [_shift(*step) for step in STEPS[:4]],
        "step_to": [[_squares_from(-ranks, -files) for ranks, files in half] for half in (STEPS[:4], STEPS[4:])],
        "rays": [[[_ray(square, *step) for step in half] for half in (STEPS[:4], STEPS[4:])] for square in range(64)],
        "leaps": [[_targets(square, ((1, 1), (1, -1))), _targets(square, JUMPS)] for square in range(64)],
        "capture": [ALL if d in (NORTH_EAST, NORTH_WEST) else 0 for d in range(8)],
        "pawn": [ALL if d in PROMOTION_DIRECTIONS else 0 for d in range(8)],
        "promoting": PROMOTION_DIRECTIONS,
        "castling": (7, 0, 63, 56),
        "plane_offset": [_shift(*plane_step(plane)) for plane in range(PLANES)],
        "promotion": [[promoted_piece(plane) == piece for piece in range(6)] for plane in range(PLANES)],
    }
    places = [[i for i in range(8) if byte >> i & 1] for byte in range(256)]
    bools = torch.tensor([[i in found for i in range(8)] for found in places])
    return Tables(
        **{name: torch.tensor(value, device=device) for name, value in values.items()},
        bits=bit_index_table(device),
        byte_counts=bools.sum(1, dtype=torch.int32).to(device),
        byte_squares=torch.tensor([(found + [0] * 8)[:8] for found in places], dtype=torch.int32).flatten().to(device),
        byte_bools=bools.view(torch.int64)[:, 0].to(device),
    )


def _shift(ranks: int, files: int) -> int:
    return 8 * ranks + files


def _targets(square: int, steps: tuple[tuple[int, int], ...]) -> int:
    found = [landing(square, *step) for step in steps]
    return signed(sum(1 << target for target in found if target is not None))


def _squares_from(ranks: int, files: int) -> int:
    """The word of the squares from which a move stays on the board."""
    return signed(sum(1 << square for square in range(64) if landing(square, ranks, files) is not None))


def _ray(square: int, ranks: int, files: int) -> int:
    found = [landing(square, ranks * k, files * k) for k in range(1, 8)]
    return signed(sum(1 << target for target in found if target is not None))
