"""Boards and moves as text: coordinates as in GTP, letters without I from the left, numbers from the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.games.board import EMPTY, Board

if TYPE_CHECKING:
    from agents.games.go.game import Go, GoState

LETTERS = "ABCDEFGHJKLMNOPQRST"
PASS = "pass"
PLAYERS = ("black", "white")


def action_names(size: int) -> list[str]:
    """Names of all actions: A19, B19, ..., T1, pass on a 19x19 board."""
    return [f"{LETTERS[column]}{size - row}" for row in range(size) for column in range(size)] + [PASS]


def board_of(game: Go, state: GoState, index: int) -> Board:
    """What one board shows: black has X, + is a star point; captures and whose turn it is, or the result, below."""
    size, last = game.size, int(state.last[index])
    owners = [{0: EMPTY, 1: 0, -1: 1}[stone] for stone in game.stones(state, index)]
    return Board(
        owners=[owners[row * size : (row + 1) * size] for row in range(size)],
        surface="lines",
        row_names=[str(size - row) for row in range(size)],
        column_names=LETTERS[:size],
        last=frozenset([divmod(last, size)] if 0 <= last < game.points else []),
        stars=frozenset(divmod(point, size) for point in star_points(size)),
        status=status(game, state, index),
    )


def status(game: Go, state: GoState, index: int) -> str:
    """Captures, and whose turn it is or the result."""
    black, white = state.captures[index].tolist()
    turn = f"{PLAYERS[int(state.plies[index]) % 2]} to move"
    now = _ending(game, state, index) if bool(game.done(state)[index]) else turn
    passed = "pass; " if int(state.passes[index]) == 1 else ""
    return f"black captured {black}, white captured {white}; {passed}{now}"


def why_illegal(game: Go, state: GoState, action: int) -> str:
    """Why a point cannot be played on a board that is not over, B = 1."""
    if game.stones(state)[action]:
        return "the point is occupied"
    if bool(state.banned[0, action]):
        rule = "an earlier position" if game.ko == "positional" else "the position before the opponent's move"
        return f"it repeats {rule} (ko {game.ko!r})"
    return "suicide"


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
