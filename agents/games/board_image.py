"""One board as an image: the surface with stones, pieces as glyphs, coordinates and the status as text."""

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agents.games.board import EMPTY, Board
from agents.games.board_surfaces import border, centre, extent, painted

_INK, _FAINT, _PAPER = (60, 50, 44), (150, 144, 134), (250, 247, 240)
_LIGHT_INK = (226, 232, 244)  # on a frame
_WHITE, _BLACK = (255, 255, 255), (40, 38, 36)
_CHESS = dict(zip("kqrbnp", "♚♛♜♝♞♟", strict=True))
_LARGEST, _CELL, _SMALLEST = 768, 96, 16  # pixels: longest side of the surface, largest and smallest cell
_READABLE = 9  # pixels: smallest text


def board_image(board: Board) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] of a board: with coordinates, the last move marked, rings around winning lines."""
    cell = max(_SMALLEST, min(_CELL, _LARGEST // max(board.size)))
    height, width = extent(board, cell)
    text = min(max(cell // 3, _READABLE), 18)
    narrow = cell // 8
    left, below = (text * 7 // 4 if names else narrow for names in (board.row_names, board.column_names))
    status = 2 * text if board.status else 0
    image = Image.new("RGB", (left + width + narrow, narrow + height + below + status), border(board.surface))
    image.paste(Image.fromarray(np.rint(painted(board, cell)).astype(np.uint8)), (left, narrow))
    draw = ImageDraw.Draw(image)
    ink = _LIGHT_INK if board.surface == "frame" else _INK
    rows, columns = board.size
    for row, name in enumerate(board.row_names):
        middle, across = centre(board, cell, row, 0)
        x = left / 2 + (across - 0.7 * cell if board.surface == "hexagons" else 0)
        draw.text((x, narrow + middle), name, font=_font(text), anchor="mm", fill=ink)
    for column, name in enumerate(board.column_names):
        _, across = centre(board, cell, rows - 1, column)
        draw.text((left + across, narrow + height + below / 2), name, font=_font(text), anchor="mm", fill=ink)
    for row, column in product(range(rows), range(columns)):
        middle, across = centre(board, cell, row, column)
        place = (left + across, narrow + middle)
        if board.owners[row][column] != EMPTY:
            if board.signs:
                _piece(draw, place, cell, board.owners[row][column], board.signs[row][column])
        elif board.cell_names and cell >= 3 * _READABLE:
            corner = (place[0] - 0.42 * cell, place[1] - 0.42 * cell)
            draw.text(corner, board.cell_names[row][column], font=_font(max(_READABLE, cell // 7)), fill=_FAINT)
    if board.status:
        size = text
        while size > _READABLE and draw.textlength(board.status, _font(size)) > image.width - 2 * narrow:
            size -= 1
        draw.text((image.width / 2, image.height - text), board.status, font=_font(size), anchor="mm", fill=ink)
    return np.asarray(image)


def text_image(text: str) -> NDArray[np.uint8]:
    """uint8 [height, width, 3]: text in letters of one width, for games that do not say what is on their board."""
    font = _font(20, mono=True)
    box = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    image = Image.new("RGB", (int(box[2]) + 32, int(box[3]) + 32), _PAPER)
    ImageDraw.Draw(image).multiline_text((16, 16), text, font=font, fill=_INK)
    return np.asarray(image)


def _piece(draw: ImageDraw.ImageDraw, place: tuple[float, float], cell: int, owner: int, sign: str) -> None:
    """A chess piece's glyph, or the sign itself; white for player 0."""
    glyph = _CHESS.get(sign.lower(), sign)
    font = _font(int(0.8 * cell))
    # White glyphs without an edge cannot be seen on light squares.
    edge = max(1, cell // 36) if owner == 0 else 0
    fill = (_WHITE, _BLACK)[owner]
    draw.text(place, glyph, font=font, anchor="mm", fill=fill, stroke_width=edge, stroke_fill=_BLACK)


@cache
def _font(size: int, mono: bool = False) -> Any:
    """DejaVu Sans, which comes with matplotlib and has the pieces of chess."""
    import matplotlib  # slow to import, needed for images only

    name = "DejaVuSansMono.ttf" if mono else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
