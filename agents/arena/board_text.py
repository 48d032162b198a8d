"""A board as coloured text: the last move in parentheses, the winning line in brackets, readable without colour."""

from rich.text import Text
from torch import Tensor

from agents.games.line_game import LineGame, LineState

STYLES = ("bold red", "bold yellow")
SIGNS = ("●", "○")
PLAIN_SIGNS = ("X", "O")


def signs(unicode: bool) -> tuple[str, str]:
    """The stones of who moves first and second."""
    return SIGNS if unicode else PLAIN_SIGNS


def board(game: LineGame, state: LineState, previous: LineState | None = None, unicode: bool = True) -> Text:
    """One board (a state with B = 1); `previous` is the board before the last move, to mark that move."""
    cells = state.cells[0].tolist()
    mover = int(game.player(state)[0])
    won = winning_cells(game, state.cells[0])
    last = None if previous is None else int((previous.cells[0] != 0).ne(state.cells[0] != 0).nonzero()[0])
    width = max(3, len(str(game.num_actions)) + 2)
    text = Text()
    edge = ("┌" + "─" * (width * game.columns) + "┐", "└" + "─" * (width * game.columns) + "┘", "│")
    top, bottom, side = edge if unicode else ("+" + "-" * (width * game.columns) + "+",) * 2 + ("|",)
    if game.gravity:
        text.append(" " + "".join(str(c + 1).center(width) for c in range(game.columns)) + "\n", "dim")
    text.append(top + "\n", "blue")
    for row in range(game.rows):
        text.append(side, "blue")
        for cell in range(row * game.columns, (row + 1) * game.columns):
            stone = cells[cell]
            if stone == 0:
                empty = ("·" if unicode else ".") if game.gravity else str(cell + 1)
                text.append(empty.center(width), "dim")
                continue
            who = mover if stone == 1 else 1 - mover
            sign = signs(unicode)[who]
            if cell in won:
                text.append(f"[{sign}]".center(width), f"{STYLES[who]} reverse")
            else:
                text.append((f"({sign})" if cell == last else sign).center(width), STYLES[who])
        text.append(side + "\n", "blue")
    text.append(bottom, "blue")
    return text


def winning_cells(game: LineGame, cells: Tensor) -> set[int]:
    """The cells of every complete line on one board, int8 [rows * columns]."""
    grid = cells.view(game.rows, game.columns).tolist()
    found: set[int] = set()
    for row in range(game.rows):
        for column in range(game.columns):
            for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                line = [(row + k * down, column + k * right) for k in range(game.length)]
                end_row, end_column = line[-1]
                if not (end_row < game.rows and 0 <= end_column < game.columns):
                    continue
                stones = {grid[r][c] for r, c in line}
                if len(stones) == 1 and stones != {0}:
                    found.update(r * game.columns + c for r, c in line)
    return found
