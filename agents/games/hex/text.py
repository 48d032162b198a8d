"""Boards and moves as text: letters for columns from the left, numbers for rows from the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.games.hex.game import Hex, HexState

LETTERS = "abcdefghijklmnopqrs"
SWAP = "swap"
PLAYERS = ("X", "O")


def action_names(size: int, *, swap: bool) -> list[str]:
    """Names of all cells as player 0 sees them, a1, b1, ...; then swap."""
    cells = [f"{LETTERS[column]}{row + 1}" for row in range(size) for column in range(size)]
    return cells + [SWAP] * swap


def seen_by_first(game: Hex, action: int, plies: int) -> int:
    """The number, in player 0's view, of an action that the player after `plies` plies sees; or the other way round."""
    if plies % 2 == 0 or action == game.cells:
        return action
    row, column = divmod(action, game.size)
    return column * game.size + row


def last_cell(game: Hex, state: HexState, index: int) -> int | None:
    """The cell of the last stone in player 0's view; after a swap that of the stone taken over; None before."""
    last, plies = int(state.last[index]), int(state.plies[index])
    if last == game.cells:
        owners = game.owners(state, index)
        return next(cell for cell, owner in enumerate(owners) if owner)
    return None if last < 0 else seen_by_first(game, last, plies - 1)


def board_text(game: Hex, state: HexState, index: int) -> str:
    """One board: X connects top and bottom, O left and right; the last stone in parentheses; whose turn it is below."""
    size, last = game.size, last_cell(game, state, index)
    owners = game.owners(state, index)
    letters = " ".join(LETTERS[:size])
    lines = [f"   {letters}"]
    for row in range(size):
        cells = range(row * size, (row + 1) * size)
        line = f"{row + 1:2d} " + " ".join({0: ".", 1: "X", -1: "O"}[owners[cell]] for cell in cells) + f" {row + 1}"
        if last is not None and last in cells:
            place = 3 + 2 * (last - cells[0])
            line = line[: place - 1] + "(" + line[place] + ")" + line[place + 2 :]
        lines.append(" " * row + line)
    lines.append(" " * size + f"   {letters}")
    lines.append(status(game, state, index))
    return "\n".join(lines)


def status(game: Hex, state: HexState, index: int) -> str:
    """Whose turn it is, or who has connected his edges."""
    edges = ("top and bottom", "left and right")
    plies = int(state.plies[index])
    if bool(state.won[index]):
        return f"{PLAYERS[1 - plies % 2]} has connected {edges[1 - plies % 2]}"
    swapped = "swap; " if int(state.last[index]) == game.cells else ""
    return f"{swapped}{PLAYERS[plies % 2]} to move, connects {edges[plies % 2]}"
