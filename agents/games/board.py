"""What one board shows: a record from which its text, its picture and its form in the terminal are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal

EMPTY = -1
STONES = ("X", "O")

Cell = tuple[int, int]
"""Row and column, from the top left."""
Surface = Literal["paper", "frame", "lines", "squares", "felt", "hexagons"]
"""What a board is drawn on:

paper: crosses and noughts. frame: red and yellow discs that fall into columns. lines: stones on crossings, as in Go.
squares: light and dark squares with pieces or stones. felt: green squares with discs.
hexagons: a rhombus whose rows move to the right; player 0 owns its upper and lower edge, player 1 the other two.
"""


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board as a person sees it.

    owners: [rows, columns], 0 or 1 for the player whose piece lies there, else EMPTY.
    signs: [rows, columns], the letters of pieces, "" for none; without it all pieces are stones, X of player 0 and O.
    row_names, column_names: coordinates. cell_names: [rows, columns], of moves on a board without coordinates.
    last: the cells that the last move changed. winning: the cells of complete lines. stars: marked empty points.
    status: a line below the board, such as captures, whose turn it is and the result.
    """

    owners: Sequence[Sequence[int]]
    surface: Surface = "paper"
    signs: Sequence[Sequence[str]] = ()
    row_names: Sequence[str] = ()
    column_names: Sequence[str] = ()
    cell_names: Sequence[Sequence[str]] = ()
    last: frozenset[Cell] = frozenset()
    winning: frozenset[Cell] = frozenset()
    stars: frozenset[Cell] = frozenset()
    status: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.owners), len(self.owners[0])

    def sign(self, row: int, column: int) -> str:
        """One character: the piece's letter, X or O for a stone, + for a star, a dot for an empty cell."""
        owner = self.owners[row][column]
        if owner == EMPTY:
            return "+" if (row, column) in self.stars else "."
        return self.signs[row][column] if self.signs else STONES[owner]


def changed_cells(owners: Sequence[Sequence[int]], before: Sequence[Sequence[int]] | None) -> frozenset[Cell]:
    """Cells with another owner than before; none where the board before is unknown."""
    if before is None:
        return frozenset()
    cells = product(range(len(owners)), range(len(owners[0])))
    return frozenset((row, column) for row, column in cells if owners[row][column] != before[row][column])


def plain_text(board: Board) -> str:
    """A character per cell, the last move in parentheses, coordinates on the left and below, then the status."""
    rows, columns = board.size
    width = max(map(len, board.column_names), default=1)
    names = [name + " " * bool(board.row_names) for name in board.row_names or [""] * rows]
    margin = max(map(len, names))
    # Without coordinates there is nothing to the left of the first cell but its parenthesis.
    first = 0 if board.row_names or board.last else 1
    lines = []
    for row in range(rows):
        marked = [(row, column) in board.last for column in range(-1, columns + 1)]
        # Between two cells is one character: a parenthesis of the cell after it, else of the one before it.
        between = ["(" if after else ")" if before else " " for before, after in pairwise(marked)]
        cells = [board.sign(row, column).rjust(width) for column in range(columns)]
        text = "".join(mark + cell for mark, cell in zip(between, [*cells, ""], strict=True))
        lines.append(names[row].rjust(margin)[:-1] + text[first:].rstrip())
    if board.column_names:
        below = " ".join(name.rjust(width) for name in board.column_names)
        lines.append(" " * (margin if board.row_names else 1 - first) + below)
    if board.surface == "hexagons":
        lines = [" " * row + line for row, line in enumerate(lines)]
    return "\n".join([*lines, *filter(None, [board.status])])
