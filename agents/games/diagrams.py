"""Positions of stones in one line of text: rows from the top with X, O and dots, slashes between them, then whose turn
it is, such as "X../.O./... X"."""

from collections.abc import Sequence

from lab.config.suggestions import shortened
from lab.errors import UserError

_SIGNS = {"X": 1, "O": -1, ".": 0}


def is_diagram(text: str) -> bool:
    """Whether a text is meant as a diagram."""
    return "/" in text


def diagram(owners: Sequence[int], size: int, player: int) -> str:
    """The text of a square board: owners in row-major order, +1 for X, -1 for O, 0 empty; player 0 is X."""
    signs = "".join({1: "X", -1: "O", 0: "."}[owner] for owner in owners)
    rows = [signs[row * size : (row + 1) * size] for row in range(size)]
    return f"{'/'.join(rows)} {'XO'[player]}"


def read_diagram(name: str, text: str, size: int) -> tuple[list[int], int]:
    """Owners in row-major order and the player to move. Raises UserError that names the mistake; name: of the game."""
    board, _, turn = text.strip().upper().partition(" ")
    rows, turn = board.split("/"), turn.strip()
    if len(rows) != size:
        raise UserError(f"{name}: a position has {size} rows with / between them, not {len(rows)}")
    for number, row in enumerate(rows, start=1):
        if len(row) != size or set(row) - _SIGNS.keys():
            raise UserError(f"{name}: row {number} is {shortened(row, 30)}, not {size} signs X, O or .")
    if turn not in ("X", "O"):
        raise UserError(f"{name}: after the rows comes X or O, who is to move, not {shortened(turn, 30)}")
    return [_SIGNS[sign] for row in rows for sign in row], "XO".index(turn)
