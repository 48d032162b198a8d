"""Moves and boards of Breakthrough as text: a2a3 steps and a2xb3 captures; player 0 begins at the bottom, in row 1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agents.games import coordinates
from agents.games.board import STONES, Board

if TYPE_CHECKING:
    from agents.games.breakthrough.game import Breakthrough, BreakthroughState

_MOVE = re.compile(r"([a-z]\d+)[x:-]?([a-z]\d+)")


def action_names(rows: int, columns: int) -> list[str]:
    """Different names of all actions, for tables: as player 0 sees the board; with `-` where they leave it."""
    names = []
    for plane in range(3):
        for row in range(rows):
            for column in range(columns):
                to = column + plane - 1
                off = row == 0 or not 0 <= to < columns
                source = coordinates.cell_name(row, column, rows)
                names.append(f"-{plane}-{source}" if off else source + coordinates.cell_name(row - 1, to, rows))
    return names


def move_cells(game: Breakthrough, action: int, player: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The cells (row, column), as player 0 sees the board, that a player's action leaves and enters."""
    plane, cell = divmod(action, game.rows * game.columns)
    row, column = divmod(cell, game.columns)
    if player == 0:
        return (row, column), (row - 1, column + plane - 1)
    row = game.rows - 1 - row
    return (row, column), (row + 1, column + plane - 1)


def move_name(game: Breakthrough, state: BreakthroughState, action: int, index: int) -> str:
    """Name of a legal action of one board."""
    mover = int(state.plies[index]) % 2
    source, target = move_cells(game, action, mover)
    captures = game.owners(state, index)[target[0]][target[1]] == 1 - mover
    names = (coordinates.cell_name(*cell, game.rows) for cell in (source, target))
    return ("x" if captures else "").join(names)


def found_move(game: Breakthrough, state: BreakthroughState, text: str, index: int) -> int | None:
    """The legal action of one board that a text names; captures may be written with or without x."""
    match = _MOVE.fullmatch(text.strip().lower())
    if match is None:
        return None
    mover = int(state.plies[index]) % 2
    legal = game.legal(state)[index].nonzero()[:, 0].tolist()
    for action in legal:
        names = (coordinates.cell_name(*cell, game.rows) for cell in move_cells(game, action, mover))
        if tuple(names) == match.groups():
            return int(action)
    return None


def why_illegal(game: Breakthrough, state: BreakthroughState, text: str, index: int) -> str | None:
    """Why the mover of one board may not play from one cell to another; None for what names no two cells."""
    match = _MOVE.fullmatch(text.strip().lower())
    if match is None:
        return None
    source, target = (coordinates.found_cell(name, game.rows, game.columns) for name in match.groups())
    if source is None or target is None:
        return "the cell is not on the board"
    owners, mover = game.owners(state, index), int(state.plies[index]) % 2
    if owners[source[0]][source[1]] != mover:
        return f"{match[1]} has no pawn of {STONES[mover]}"
    down, right = target[0] - source[0], target[1] - source[1]
    if down != (1 if mover else -1) or abs(right) > 1:
        return "a pawn steps to the next row, straight or diagonally"
    if owners[target[0]][target[1]] == mover:
        return f"{match[2]} has a pawn of the same side"
    return "a pawn captures diagonally, not straight"


def last_move_cells(game: Breakthrough, state: BreakthroughState, index: int) -> frozenset[tuple[int, int]]:
    """The cells of the last move of one board, as player 0 sees it."""
    last = int(state.last[index])
    player = 1 - int(state.plies[index]) % 2  # who moved last
    return frozenset() if last < 0 else frozenset(move_cells(game, last, player))


def board_of(game: Breakthrough, state: BreakthroughState, index: int) -> Board:
    """What one board shows: X begins and moves up; the cells of the last move; captures and turn or result below."""
    owners = game.owners(state, index)
    pawns = [sum(row.count(player) for row in owners) for player in (0, 1)]
    first, second = (game.home_rows * game.columns - count for count in pawns)
    mover = int(state.plies[index]) % 2
    status = f"{STONES[1 - mover]} wins" if bool(state.over[index]) else f"{STONES[mover]} to move"
    return Board(
        owners=owners,
        surface="squares",
        row_names=coordinates.row_names(game.rows),
        column_names=coordinates.COLUMNS[: game.columns],
        last=last_move_cells(game, state, index),
        status=f"X captured {second}, O captured {first}; {status}",
    )
