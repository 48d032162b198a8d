"""Boards and moves as text: letters for columns from the left, numbers for rows from the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.games.othello.game import Othello, OthelloState

LETTERS = "abcdefgh"
PASS = "pass"
PLAYERS = ("black", "white")


def action_names(size: int) -> list[str]:
    """Names of all actions: a1, b1, ..., h8, pass on an 8x8 board."""
    return [f"{LETTERS[column]}{row + 1}" for row in range(size) for column in range(size)] + [PASS]


def board_text(game: Othello, state: OthelloState, index: int) -> str:
    """One board: X is black, O is white; the last disc in parentheses; below it the discs and whose turn it is."""
    size, last = game.size, int(state.last[index])
    colours = game.colours(state, index)
    letters = "  " + " ".join(LETTERS[:size])
    lines = [letters]
    for row in range(size):
        cells = range(row * size, (row + 1) * size)
        line = f"{row + 1} " + " ".join({0: ".", 1: "X", -1: "O"}[colours[cell]] for cell in cells) + " "
        if last in cells:
            place = 2 + 2 * (last - cells[0])
            line = line[: place - 1] + "(" + line[place] + ")" + line[place + 2 :]
        lines.append(line.rstrip())
    passed = "pass; " if last == game.cells else ""
    lines.append(f"black {colours.count(1)}, white {colours.count(-1)}; {passed}{status(game, state, index)}")
    return "\n".join(lines)


def status(game: Othello, state: OthelloState, index: int) -> str:
    """Whose turn it is, or the result."""
    if not bool(game.done(state)[index]):
        return f"{PLAYERS[int(state.plies[index]) % 2]} to move"
    margin = int(game.margin(state)[index])
    return "draw" if margin == 0 else f"{PLAYERS[margin < 0]} wins by {abs(margin)}"
