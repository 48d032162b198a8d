"""Boards and moves as text: coordinates as in GTP, letters without I from the left, numbers from the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.games.go.game import Go, GoState

LETTERS = "ABCDEFGHJKLMNOPQRST"
PASS = "pass"
PLAYERS = ("black", "white")


def action_names(size: int) -> list[str]:
    """Names of all actions: A19, B19, ..., T1, pass on a 19x19 board."""
    return [f"{LETTERS[column]}{size - row}" for row in range(size) for column in range(size)] + [PASS]


def board_text(game: Go, state: GoState, index: int) -> str:
    """One board: X is black, O is white, + a star point; the last stone in parentheses; captures and result below."""
    size = game.size
    plies, passes = int(state.plies[index]), int(state.passes[index])
    stones = game.stones(state, index)
    last = int(state.last[index])
    stars = star_points(size)
    letters = "   " + " ".join(LETTERS[:size])
    lines = [letters]
    for row in range(size):
        cells = range(row * size, (row + 1) * size)
        signs = [{0: "+" if cell in stars else ".", 1: "X", -1: "O"}[stones[cell]] for cell in cells]
        line = f"{size - row:2d} " + " ".join(signs) + f" {size - row:d}"
        if last in cells:
            place = 3 + 2 * (last - cells[0])
            line = line[: place - 1] + "(" + line[place] + ")" + line[place + 2 :]
        lines.append(line)
    lines.append(letters)
    black, white = state.captures[index].tolist()
    status = _ending(game, state, index) if bool(game.done(state)[index]) else f"{PLAYERS[plies % 2]} to move"
    lines.append(f"black captured {black}, white captured {white}; {'pass; ' if passes == 1 else ''}{status}")
    return "\n".join(lines)


def _ending(game: Go, state: GoState, index: int) -> str:
    """The areas of a board that is over, and its result: area black +25, komi 24.5: B+0.5."""
    ahead = int(state.score[index])
    areas = f"{PLAYERS[ahead < 0]} +{abs(ahead)}" if ahead else "equal"
    return f"area {areas}, komi {game.komi:g}: {result(game, state, index)}"


def result(game: Go, state: GoState, index: int) -> str:
    """Result of a board that is over as in SGF: B+12.5, W+0.5, 0 for a draw."""
    margin = float(state.score[index]) - game.komi
    return "0" if margin == 0 else f"{'B' if margin > 0 else 'W'}+{abs(margin):g}"


def star_points(size: int) -> frozenset[int]:
    """Cells in row-major order of the points that are marked on a printed board."""
    if size < 7:
        return frozenset()
    edge = 2 if size < 13 else 3
    lines = {edge, size - 1 - edge}
    middle = size // 2
    stars = {(row, column) for row in lines for column in lines}
    if size % 2 == 1:
        stars.add((middle, middle))
        if size >= 13:
            stars |= {(row, middle) for row in lines} | {(middle, column) for column in lines}
    return frozenset(row * size + column for row, column in stars)
