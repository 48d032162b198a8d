"""Forced mates by exhaustive search of all moves and replies, for whole batches of positions."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.chess.actions import slots
from agents.games.chess.geometry import tables
from agents.games.chess.legal_moves import LegalMoves, legal_moves
from agents.games.chess.position import Position, after_move

CPU = torch.device("cpu")
_ROWS = 16384  # positions that are expanded at once


class Moves(NamedTuple):
    """M legal moves: row of the position and action int64 [M]; `after` them, where `replies` are legal."""

    row: Tensor
    action: Tensor
    after: Position
    replies: LegalMoves


def all_moves(position: Position) -> Moves:
    """Every legal move of B positions."""
    table = tables(CPU)
    actions = slots(legal_moves(position, table).words, table)
    row, slot = (actions >= 0).nonzero(as_tuple=True)
    action = actions[row, slot]
    after = after_move(taken(position, row), action, table)
    return Moves(row, action, after, legal_moves(after, table))


def mates_in_one(position: Position) -> tuple[Tensor, Tensor]:
    """Row and action of every move that mates: int64 [M] each."""
    rows, actions, first = [], [], 0
    for part in parts(position):
        moves = all_moves(part)
        mate = ~_any(moves.replies) & moves.replies.check
        rows.append(moves.row[mate] + first)
        actions.append(moves.action[mate])
        first += len(part.plies)
    return torch.cat(rows), torch.cat(actions)


def mates_in_two(position: Position) -> tuple[Tensor, Tensor]:
    """Row and action of every move that mates or after which every reply can be answered by mate: int64 [M] each."""
    rows, actions, first = [], [], 0
    for part in parts(position):
        moves = all_moves(part)
        forced = ~_any(moves.replies) & moves.replies.check
        open_ = _any(moves.replies).nonzero()[:, 0]
        lost = _can_be_mated(taken(moves.after, open_))
        forced[open_[lost]] = True
        rows.append(moves.row[forced] + first)
        actions.append(moves.action[forced])
        first += len(part.plies)
    return torch.cat(rows), torch.cat(actions)


def _can_be_mated(position: Position) -> Tensor:
    """bool [B], for positions with a legal move: mate in one follows every move of the player to move."""
    table = tables(CPU)
    replies = slots(legal_moves(position, table).words, table)
    alive = torch.ones(len(replies), dtype=torch.bool)
    # Reply by reply, since most positions have one that is not answered by mate and then need no other.
    for slot in range(int((replies >= 0).sum(1).max()) if len(replies) else 0):
        rows = (alive & (replies[:, slot] >= 0)).nonzero()[:, 0]
        answered = torch.zeros(len(rows), dtype=torch.bool)
        answered[mates_in_one(after_move(taken(position, rows), replies[rows, slot], table))[0]] = True
        alive[rows] = answered
    return alive


def parts(position: Position) -> list[Position]:
    return [Position(*fields) for fields in zip(*(field.split(_ROWS // 16) for field in position), strict=True)]


def taken(position: Position, rows: Tensor) -> Position:
    return Position(*(field.index_select(0, rows) for field in position))


def _any(moves: LegalMoves) -> Tensor:
    return (moves.words != 0).any(1)
