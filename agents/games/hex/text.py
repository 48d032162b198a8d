"""Boards and moves as text: letters for columns from the left, numbers for rows from the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.games.board import EMPTY, STONES, Board

if TYPE_CHECKING:
    from agents.games.hex.game import Hex, HexState

LETTERS = "abcdefghijklmnopqrs"
SWAP = "swap"


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


def board_of(game: Hex, state: HexState, index: int) -> Board:
    """What one board shows player 0: X connects top and bottom, O left and right; whose turn it is below."""
    size, last = game.size, last_cell(game, state, index)
    owners = [{0: EMPTY, 1: 0, -1: 1}[owner] for owner in game.owners(state, index)]
    return Board(
        owners=[owners[row * size : (row + 1) * size] for row in range(size)],
        surface="hexagons",
        row_names=[str(row + 1) for row in range(size)],
        column_names=LETTERS[:size],
        last=frozenset() if last is None else frozenset([divmod(last, size)]),
        status=status(game, state, index),
    )


def status(game: Hex, state: HexState, index: int) -> str:
    """Whose turn it is, or who has connected his edges."""
    edges = ("top and bottom", "left and right")
    plies = int(state.plies[index])
    if bool(state.won[index]):
        return f"{STONES[1 - plies % 2]} has connected {edges[1 - plies % 2]}"
    swapped = "swap; " if int(state.last[index]) == game.cells else ""
    return f"{swapped}{STONES[plies % 2]} to move, connects {edges[plies % 2]}"
