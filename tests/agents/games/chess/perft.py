"""Perft: the number of move sequences of a length, counted for a whole level of the tree at once."""

import torch
from torch import Tensor

from agents.games.chess.actions import slots
from agents.games.chess.geometry import Tables, tables
from agents.games.chess.legal_moves import legal_moves
from agents.games.chess.position import Position, after_move

CPU = torch.device("cpu")


def perft(position: Position, depth: int, *, rows: int = 8192) -> int:
    """Sequences of `depth` legal moves from B positions together; `rows` positions at a time."""
    table = tables(CPU)
    count = 0
    for part in zip(*(field.split(rows) for field in position), strict=True):
        some = Position(*part)
        actions = slots(legal_moves(some, table).words, table)
        if depth == 1:
            count += int((actions >= 0).sum())
        else:
            count += perft(_children(some, actions, table), depth - 1, rows=rows)
    return count


def _children(position: Position, actions: Tensor, table: Tables) -> Position:
    row, slot = (actions >= 0).nonzero(as_tuple=True)
    parents = Position(*(field.index_select(0, row) for field in position))
    return after_move(parents, actions[row, slot], table)
