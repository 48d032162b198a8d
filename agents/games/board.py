"""One board as text: plain for files, coloured for the terminal. `board_image` shows the same board as an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from rich.text import Text

from agents.games.game import Game, select

EMPTY = -1
STYLES = ("bold red", "bold yellow")
_UNICODE_STONES, _ASCII_STONES = ("●", "○"), ("X", "O")


@dataclass(frozen=True)
class Board:
    """One board of stones.

    owners: [rows][columns], 0 or 1 for the player whose stone lies there, else EMPTY.
    gravity: stones fall to the bottom of a column.
    last: (row, column) of the last move, if known. winning: cells of complete lines.
    """

    owners: Sequence[Sequence[int]]
    gravity: bool = False
    last: tuple[int, int] | None = None
    winning: frozenset[tuple[int, int]] = frozenset()


def board_of(game: Game, state: Any, *, index: int = 0, previous: Any = None) -> Board:
    """Board `index` of a state, from its observation: the first half of the planes are the mover's stones.

    previous: the state one move earlier, to find the last move.
    """
    owners = _owners(game, state, index)
    last = None
    if previous is not None:
        before = _owners(game, previous, index)
        cells = product(range(len(owners)), range(len(owners[0])))
        last = next((cell for cell in cells if owners[cell[0]][cell[1]] != before[cell[0]][cell[1]]), None)
    length = getattr(game, "length", None)
    winning = frozenset() if length is None else winning_cells(owners, length)
    return Board(owners, getattr(game, "gravity", False), last, winning)


def winning_cells(owners: Sequence[Sequence[int]], length: int) -> frozenset[tuple[int, int]]:
    """The cells (row, column) of every complete line of `length` stones."""
    rows, columns = len(owners), len(owners[0])
    found: set[tuple[int, int]] = set()
    for row, column, (down, right) in product(range(rows), range(columns), ((0, 1), (1, 0), (1, 1), (1, -1))):
        line = [(row + k * down, column + k * right) for k in range(length)]
        end_row, end_column = line[-1]
        if end_row < rows and 0 <= end_column < columns:
            stones = {owners[r][c] for r, c in line}
            if len(stones) == 1 and EMPTY not in stones:
                found.update(line)
    return frozenset(found)


def plain_text(board: Board) -> str:
    """One character per cell: X moves first, O second; column numbers below if stones fall."""
    lines = [" ".join({EMPTY: ".", 0: "X", 1: "O"}[owner] for owner in row) for row in board.owners]
    if board.gravity:
        lines.append(" ".join(str((c + 1) % 10) for c in range(len(board.owners[0]))))
    return "\n".join(lines)


def stone(player: int, unicode: bool) -> str:
    """The character of a player's stones."""
    return (_UNICODE_STONES if unicode else _ASCII_STONES)[player]


def terminal_text(board: Board, *, unicode: bool = True) -> Text:
    """Coloured text with a frame: the last move in parentheses, winning lines in brackets, readable without colour."""
    columns = len(board.owners[0])
    width = max(3, len(str(columns if board.gravity else columns * len(board.owners))) + 2)
    rule = ("─" if unicode else "-") * (width * columns)
    corners, side = (("┌┐", "└┘"), "│") if unicode else (("++", "++"), "|")
    text = Text()
    if board.gravity:
        text.append(" " + "".join(str(c + 1).center(width) for c in range(columns)) + "\n", "dim")
    text.append(rule.join(corners[0]) + "\n", "blue")
    for row, owners in enumerate(board.owners):
        text.append(side, "blue")
        for column, owner in enumerate(owners):
            if owner == EMPTY:
                empty = ("·" if unicode else ".") if board.gravity else str(row * columns + column + 1)
                text.append(empty.center(width), "dim")
                continue
            sign, wins = stone(owner, unicode), (row, column) in board.winning
            if wins:
                sign = f"[{sign}]"
            elif (row, column) == board.last:
                sign = f"({sign})"
            text.append(sign.center(width), f"{STYLES[owner]} reverse" if wins else STYLES[owner])
        text.append(side + "\n", "blue")
    text.append(rule.join(corners[1]), "blue")
    return text


def _owners(game: Game, state: Any, index: int) -> list[list[int]]:
    one = select(state, torch.tensor([index], device=game.done(state).device))
    planes, mover = game.observe(one)[0] > 0, int(game.player(one)[0])
    half = len(planes) // 2
    owners = torch.where(planes[:half].any(0), mover, torch.where(planes[half : 2 * half].any(0), 1 - mover, EMPTY))
    rows: list[list[int]] = owners.tolist()
    return rows
