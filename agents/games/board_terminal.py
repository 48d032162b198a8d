"""One board as coloured text for the terminal, readable without colour."""

from rich.text import Text

from agents.games.board import EMPTY, STONES, Board

STYLES = ("bold red", "bold yellow")
_UNICODE_STONES = ("●", "○")


def stone(player: int, unicode: bool) -> str:
    """The character of a player's stones."""
    return (_UNICODE_STONES if unicode else STONES)[player]


def terminal_text(board: Board, *, unicode: bool = True) -> Text:
    """Coloured text with a frame: the last move in parentheses, winning lines in brackets, coordinates around."""
    rows, columns = board.size
    names = [name for row in board.cell_names for name in row]
    width = max([3, *(len(name) + 2 for name in (*board.column_names, *names))])
    hexagons = board.surface == "hexagons"
    margin = max(map(len, board.row_names), default=-1) + 1
    rule = ("─" if unicode else "-") * (width * columns)
    corners, side = (("┌┐", "└┘"), "│") if unicode else (("++", "++"), "|")
    text = Text()
    if board.column_names:
        text.append(" " * (margin + 1) + "".join(name.center(width) for name in board.column_names) + "\n", "dim")
    if not hexagons:
        text.append(" " * margin + rule.join(corners[0]) + "\n", "blue")
    for row in range(rows):
        if hexagons:
            text.append(" " * (row * width // 2))
        if board.row_names:
            text.append(board.row_names[row].rjust(margin - 1) + " ", "dim")
        text.append(side, "blue")
        for column in range(columns):
            text.append(*_cell(board, row, column, width, unicode))
        text.append(side + "\n", "blue")
    if hexagons:
        text.right_crop(1)
    else:
        text.append(" " * margin + rule.join(corners[1]), "blue")
    if board.status:
        text.append("\n" + board.status)
    return text


def _cell(board: Board, row: int, column: int, width: int, unicode: bool) -> tuple[str, str]:
    """The text of a cell, `width` characters, and its style."""
    owner, cell = board.owners[row][column], (row, column)
    if owner == EMPTY:
        sign = board.cell_names[row][column] if board.cell_names else board.sign(row, column)
        sign, style = sign.replace(".", "·") if unicode else sign, "dim"
    else:
        sign, style = board.sign(row, column) if board.signs else stone(owner, unicode), STYLES[owner]
    if cell in board.winning:
        sign, style = f"[{sign}]", f"{style} reverse"
    elif cell in board.last:
        sign = f"({sign})"
    return sign.center(width), style
