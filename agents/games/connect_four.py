"""Connect Four with any number of rows and columns and any length of a line."""

from agents.games.line_game import LineGame


def connect_four(rows: int = 6, columns: int = 7, length: int = 4) -> LineGame:
    """Actions are columns from the left."""
    return LineGame("connect_four", rows, columns, length, gravity=True)
