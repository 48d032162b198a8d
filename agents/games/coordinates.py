"""Names of cells: a letter for the column from the left, a number for the row from the bottom."""

from collections.abc import Sequence
from string import ascii_lowercase

LARGEST = len(ascii_lowercase)
"""Most columns that letters can name."""


def cell_name(row: int, column: int, rows: int) -> str:
    """The name of a cell, such as h8; row 0 is on top."""
    return f"{ascii_lowercase[column]}{rows - row}"


def cell_names(rows: int, columns: int) -> list[str]:
    """Names of all cells in row-major order from the top left."""
    return [cell_name(row, column, rows) for row in range(rows) for column in range(columns)]


def board_text(signs: Sequence[Sequence[str]], marked: frozenset[tuple[int, int]] = frozenset()) -> str:
    """A board of one character per cell with its coordinates; cells (row, column) that are marked in parentheses."""
    rows, columns = len(signs), len(signs[0])
    lines = []
    for row, line in enumerate(signs):
        cells = (f"({sign})" if (row, column) in marked else f" {sign} " for column, sign in enumerate(line))
        lines.append(f"{rows - row:2d} {''.join(cells)}".rstrip())
    lines.append("   " + "".join(f" {letter} " for letter in ascii_lowercase[:columns]).rstrip())
    return "\n".join(lines)
