"""Gomoku: five stones in a row on a square board."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.games import coordinates
from agents.games.board import Board
from agents.games.line_game import LineGame, LineState
from lab.errors import UserError

LENGTH, LARGEST = 5, 19


class Gomoku(LineGame):
    """Players place stones in turn on any empty point; five in a row, column or diagonal win; a full board is a draw.

    Freestyle: more than five win as well. With `exact` (standard gomoku) a longer row does not win and is not lost
    either: the game goes on. There is no swap, and no move is forbidden to the first player.

    Actions are points in row-major order from the top left.
    """

    def __init__(self, size: int = 15, exact: bool = False) -> None:
        if not LENGTH <= size <= LARGEST:
            raise UserError(f"gomoku: size must be from {LENGTH} to {LARGEST}, not {size}")
        super().__init__("gomoku", size, size, LENGTH, gravity=False, exact=exact)
        self.options: Mapping[str, Any] = {"size": size, "exact": exact}
        self.size = size
        self.action_names: Sequence[str] = coordinates.cell_names(size, size)

    def find_move(self, state: LineState, text: str, *, index: int = 0) -> int | None:
        """An empty point such as h8, in either case."""
        return super().find_move(state, text.strip().lower(), index=index)

    def board(self, state: LineState, index: int = 0, previous: LineState | None = None) -> Board:
        return replace(
            super().board(state, index, previous),
            surface="lines",
            row_names=coordinates.row_names(self.size),
            column_names=coordinates.COLUMNS[: self.size],
            cell_names=(),
        )

    def why_illegal(self, state: LineState, text: str, *, index: int = 0) -> str | None:
        return "the point is occupied" if text.strip().lower() in self.action_names else None
