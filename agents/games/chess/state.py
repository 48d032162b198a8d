"""States of games of chess: positions with what is derived from them and the history that rules and network need."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.chess.draws import earlier_occurrences, insufficient_material
from agents.games.chess.geometry import tables
from agents.games.chess.legal_moves import legal_moves
from agents.games.chess.position import WORDS, Position, after_move, initial_position
from agents.games.words import hashed

RUNNING, CHECKMATE, STALEMATE, DEAD, REPETITION, NO_PROGRESS, TOO_LONG = range(7)
RESULTS = (
    "running",
    "checkmate",
    "stalemate",
    "insufficient material",
    "repetition",
    "moves without progress",
    "limit of plies",
)
OBSERVED = 8
"""Positions in an observation."""


class ChessState(NamedTuple):
    """B games.

    words, clock, plies: the position (see `Position`); en passant is recorded only where it is legal.
    moves: int64 [B, 73], words of the legal moves; zeros when the game is over.
    outcome: int8 [B], place in `RESULTS`.
    keys: int64 [B, T], hashes of the positions; boards: int64 [B, 8, 8], their first seven words as their mover saw
    them and how often (0, 1 or 2 for more) they had occurred. Both are rings: entry p % T, p % 8 after p plies.
    """

    words: Tensor
    clock: Tensor
    plies: Tensor
    moves: Tensor
    outcome: Tensor
    keys: Tensor
    boards: Tensor

    @property
    def position(self) -> Position:
        return Position(self.words, self.clock, self.plies)


class Limits(NamedTuple):
    """When a game is drawn: a position that occurs `repetitions` times, `clock` plies without a capture or a move of a
    pawn, `plies` in all."""

    repetitions: int
    clock: int
    plies: int


def new_games(batch: int, limits: Limits, device: torch.device) -> ChessState:
    """B games at the initial position."""
    return begun(initial_position(batch, device), limits)


def begun(position: Position, limits: Limits) -> ChessState:
    """Games that begin at a position."""
    batch = len(position.words)
    keys = position.words.new_zeros((batch, limits.clock + 1))
    boards = position.words.new_zeros((batch, OBSERVED, WORDS - 1))
    return _entered(position, keys, boards, limits)


def stepped(state: ChessState, action: Tensor, limits: Limits) -> ChessState:
    """States after actions int64 [B]; games that are over stay as they are."""
    before = state.position
    after = after_move(before, action, tables(action.device))
    running = state.outcome == RUNNING
    position = Position(
        torch.where(running[:, None], after.words, before.words),
        torch.where(running, after.clock, before.clock),
        torch.where(running, after.plies, before.plies),
    )
    # All the rest is a function of the position and the history, so that it stays as well where the game is over.
    return _entered(position, state.keys, state.boards, limits)


def _entered(position: Position, keys: Tensor, boards: Tensor, limits: Limits) -> ChessState:
    """The state of a position whose history is in the rings; they get its entry."""
    moves, check, en_passant = legal_moves(position, tables(keys.device))
    words, clock, plies = position
    words = torch.cat([words[:, :8], (words[:, 8] * en_passant)[:, None]], 1)
    # The side to move counts: the same words one ply later are the mirrored position.
    key = hashed(torch.cat([words, plies[:, None] & 1], 1))
    occurrences = earlier_occurrences(key, keys, position)
    stuck = ~(moves != 0).any(1)
    reasons = [
        (TOO_LONG, plies >= limits.plies),
        (NO_PROGRESS, clock >= limits.clock),
        (REPETITION, occurrences >= limits.repetitions - 1),
        (DEAD, insufficient_material(position)),
        (STALEMATE, stuck),
        (CHECKMATE, stuck & check),
    ]
    outcome = torch.zeros_like(plies, dtype=torch.int8)
    for reason, holds in reasons:  # later ones take precedence
        outcome = outcome.masked_fill(holds, reason)
    moves = moves.masked_fill((outcome != RUNNING)[:, None], 0)
    entry = torch.cat([words[:, :7], occurrences.clamp(max=2)[:, None]], 1)[:, None]
    return ChessState(
        words,
        clock,
        plies,
        moves,
        outcome,
        keys.scatter(1, (plies % keys.shape[1])[:, None], key[:, None]),
        boards.scatter(1, (plies % OBSERVED)[:, None, None].expand_as(entry), entry),
    )
