"""One board of chess as an image."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agents.games.chess.fen import board_letters
from agents.games.chess.state import ChessState
from agents.games.chess.text import last_move_squares

_CELL, _MARGIN = 72, 24  # pixels
_LIGHT, _DARK, _PAPER, _INK = (238, 224, 200), (170, 128, 96), (250, 247, 240), (60, 50, 44)
_LIGHT_LAST, _DARK_LAST = (232, 222, 130), (190, 170, 70)  # squares of the last move
_WHITE, _BLACK, _EDGE = (255, 255, 255), (40, 38, 36), (40, 38, 36)
_GLYPHS = dict(zip("kqrbnp", "♚♛♜♝♞♟", strict=True))


def board_image(state: ChessState, *, index: int = 0) -> NDArray[np.uint8]:
    """uint8 [624, 624, 3]: the board as White sees it, with coordinates and the squares of the last move marked."""
    size = 8 * _CELL + 2 * _MARGIN
    image = Image.new("RGB", (size, size), _PAPER)
    draw = ImageDraw.Draw(image)
    letters, last = board_letters(state.position, index=index), last_move_squares(state, index=index)
    for square in range(64):
        rank, file = divmod(square, 8)
        left, top = _MARGIN + file * _CELL, _MARGIN + (7 - rank) * _CELL
        light = (rank + file) % 2 == 1
        colours = (_LIGHT, _LIGHT_LAST) if light else (_DARK, _DARK_LAST)
        draw.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), fill=colours[square in last])
        if letters[square]:
            centre = (left + _CELL / 2, top + _CELL / 2)
            fill, edge = (_WHITE, 2) if letters[square].isupper() else (_BLACK, 0)
            glyph = _GLYPHS[letters[square].lower()]
            draw.text(
                centre,
                glyph,
                font=_font(int(0.8 * _CELL)),
                anchor="mm",
                fill=fill,
                stroke_width=edge,
                stroke_fill=_EDGE,
            )
    for i in range(8):
        middle = _MARGIN + i * _CELL + _CELL / 2
        draw.text((middle, size - _MARGIN / 2), "abcdefgh"[i], font=_font(15), anchor="mm", fill=_INK)
        draw.text((_MARGIN / 2, size - middle), str(i + 1), font=_font(15), anchor="mm", fill=_INK)
    return np.asarray(image)


@cache
def _font(size: int) -> Any:
    """DejaVu Sans, which comes with matplotlib and has the pieces."""
    from matplotlib import font_manager  # slow to import, needed for images only

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
