"""Names of cells: a letter for the column from the left, a number for the row from the bottom."""

from string import ascii_lowercase

COLUMNS = ascii_lowercase
LARGEST = len(COLUMNS)
"""Most columns that letters can name."""


def cell_name(row: int, column: int, rows: int) -> str:
    """The name of a cell, such as h8; row 0 is on top."""
    return f"{ascii_lowercase[column]}{rows - row}"


def cell_names(rows: int, columns: int) -> list[str]:
    """Names of all cells in row-major order from the top left."""
    return [cell_name(row, column, rows) for row in range(rows) for column in range(columns)]


def row_names(rows: int) -> list[str]:
    """Names of the rows from the top."""
    return [str(rows - row) for row in range(rows)]


def found_cell(name: str, rows: int, columns: int) -> tuple[int, int] | None:
    """Row and column of the cell with a name such as h8; None if it is not on the board."""
    row, column = rows - int(name[1:]), COLUMNS.index(name[0])
    return (row, column) if 0 <= row < rows and column < columns else None
