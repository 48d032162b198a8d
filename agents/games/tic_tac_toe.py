"""Tic-tac-toe; with other options, any m,n,k-game."""

from agents.games.line_game import LineGame


def tic_tac_toe(rows: int = 3, columns: int = 3, length: int = 3) -> LineGame:
    """Actions are cells in row-major order from the top left."""
    return LineGame("tic_tac_toe", rows, columns, length, gravity=False)
