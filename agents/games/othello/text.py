"""Boards and moves as text: letters for columns from the left, numbers for rows from the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.games.board import EMPTY, Board

if TYPE_CHECKING:
    from agents.games.othello.game import Othello, OthelloState

LETTERS = "abcdefgh"
PASS = "pass"
PLAYERS = ("black", "white")


def action_names(size: int) -> list[str]:
    """Names of all actions: a1, b1, ..., h8, pass on an 8x8 board."""
    return [f"{LETTERS[column]}{row + 1}" for row in range(size) for column in range(size)] + [PASS]


def board_of(game: Othello, state: OthelloState, index: int) -> Board:
    """What one board shows: black has X; the last disc; below it the discs and whose turn it is, or the result."""
    size, last = game.size, int(state.last[index])
    colours = game.colours(state, index)
    owners = [{0: EMPTY, 1: 0, -1: 1}[colour] for colour in colours]
    passed = "pass; " if last == game.cells else ""
    return Board(
        owners=[owners[row * size : (row + 1) * size] for row in range(size)],
        surface="felt",
        row_names=[str(row + 1) for row in range(size)],
        column_names=LETTERS[:size],
        last=frozenset([divmod(last, size)] if 0 <= last < game.cells else []),
        status=f"black {colours.count(1)}, white {colours.count(-1)}; {passed}{status(game, state, index)}",
    )


def status(game: Othello, state: OthelloState, index: int) -> str:
    """Whose turn it is, or the result."""
    if not bool(game.done(state)[index]):
        return f"{PLAYERS[int(state.plies[index]) % 2]} to move"
    margin = int(game.margin(state)[index])
    return "draw" if margin == 0 else f"{PLAYERS[margin < 0]} wins by {abs(margin)}"
