"""Curves and matrices as pictures, drawn with pillow alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_COLOURS = (
    *((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14), (23, 190, 207)),
    *((140, 86, 75), (227, 119, 194), (120, 120, 30), (0, 0, 0)),
)
_INK, _GRID, _PAPER = (40, 40, 40), (225, 225, 225), (255, 255, 255)
_WIDTH, _HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 16, 36, 52
_TICKS = 6
_DASH = 5.0  # pixels
_TILE = 64  # least pixels of a picture's side


@dataclass(frozen=True)
class Curve:
    """Points in the order in which they are joined, by a line, by dashes, or not: dots.

    colour: its number among the colours; the curve's own place among those drawn unless given.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False
    dashed: bool = False
    colour: int | None = None


def curves(
    drawn: Sequence[Curve],
    title: str,
    x_label: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    mark: float | None = None,
    size: tuple[int, int] = (_WIDTH, _HEIGHT),
    y_range: tuple[float, float] | None = None,
) -> np.ndarray:
    """uint8 [H, W, 3]. Values that are not finite, or not positive on a logarithmic axis, are left out; `mark` is a
    place on the x axis with a line through it. size: width and height. y_range: of the y axis, that of the curves
    unless given."""
    from PIL import Image, ImageDraw

    width, height = size
    right, bottom = width - _RIGHT, height - _BOTTOM
    points = [_kept(curve, log_x, log_y) for curve in drawn]
    x_axis = _Axis([x for curve in points for x, _ in curve], log_x, _LEFT, right)
    y_axis = _Axis(list(y_range or (y for curve in points for _, y in curve)), log_y, bottom, _TOP)
    image = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(image)
    for value, at in x_axis.ticks():
        draw.line([(at, _TOP), (at, bottom)], _GRID)
        draw.text((at, bottom + 6), _number(value), _INK, _font(), anchor="ma")
    for value, at in y_axis.ticks():
        draw.line([(_LEFT, at), (right, at)], _GRID)
        draw.text((_LEFT - 6, at), _number(value), _INK, _font(), anchor="rm")
    if mark is not None:
        draw.line([(x_axis.place(mark), _TOP), (x_axis.place(mark), bottom)], _INK, 2)
    for index, (curve, kept) in enumerate(zip(drawn, points, strict=True)):
        _draw(draw, [(x_axis.place(x), y_axis.place(y)) for x, y in kept], _colour(curve, index), curve)
    draw.rectangle([(_LEFT, _TOP), (right, bottom)], outline=_INK)
    draw.text((_LEFT, 10), title, _INK, _font(15))
    draw.text(((_LEFT + right) / 2, height - 22), x_label, _INK, _font(), anchor="ma")
    at, title_ends = float(right), _LEFT + draw.textlength(title, _font(15))
    for index in reversed([index for index, curve in enumerate(drawn) if curve.name]):  # names end at the right
        at -= draw.textlength(drawn[index].name, _font())
        if at < title_ends + 14:
            break  # no room for more
        draw.text((at, 16), drawn[index].name, _colour(drawn[index], index), _font())
        at -= 14
    return np.asarray(image)


def matrix(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, x_label: str) -> np.ndarray:
    """uint8 [H, W, 3]: int [R, C] with each cell as dark as its share of the row; numbers where there is room."""
    from PIL import Image, ImageDraw

    side = 34 if len(columns) <= 20 else max(4, 680 // len(columns))
    longest = max(len(name) for name in rows) if rows else 1
    left, top = min(160, 16 + 8 * longest), 64
    image = Image.new("RGB", (max(360, left + side * len(columns) + 16), top + side * len(rows) + 16), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((10, 8), title, _INK, _font(15))
    draw.text((left, 28), x_label, _INK, _font())
    shares = values / np.maximum(values.sum(1, keepdims=True), 1)
    for row, name in enumerate(rows):
        y = top + row * side
        if side >= 12:
            draw.text((left - 6, y + side / 2), name[:18], _INK, _font(), anchor="rm")
        for column in range(len(columns)):
            x, share = left + column * side, float(shares[row, column])
            shade = round(255 - 225 * share)
            draw.rectangle([(x, y), (x + side - 2, y + side - 2)], (shade, shade, 255 - round(60 * share)))
            if side >= 30 and values[row, column]:
                ink = _PAPER if share > 0.5 else _INK
                draw.text((x + side / 2 - 1, y + side / 2), str(values[row, column]), ink, _font(10), anchor="mm")
    if side >= 12:
        for column, name in enumerate(columns):
            short = name[: max(1, side // 7)]
            draw.text((left + column * side + side / 2, top - 4), short, _INK, _font(), anchor="ms")
    return np.asarray(image)


def mistakes(pictures: np.ndarray, right: Sequence[str], told: Sequence[str], columns: int = 8) -> np.ndarray:
    """uint8 [H, W, 3]: pictures uint8 [N, 1|3, R, R] row by row, each over its name and, in red, what it was told."""
    from PIL import Image, ImageDraw

    count, _, side, _ = pictures.shape
    factor = -(-_TILE // side)
    wide, high = side * factor + 6, side * factor + 30
    image = Image.new("RGB", (min(columns, count) * wide + 6, -(-count // columns) * high + 6), _PAPER)
    draw = ImageDraw.Draw(image)
    for index, (picture, name, other) in enumerate(zip(pictures, right, told, strict=True)):
        left, top = index % columns * wide + 6, index // columns * high + 6
        pixels = picture.repeat(factor, 1).repeat(factor, 2).transpose(1, 2, 0)
        image.paste(Image.fromarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()), (left, top))
        for line, (text, ink) in enumerate(((name, _INK), (other, _COLOURS[1]))):
            at = (left, top + side * factor + 11 * line)
            draw.text(at, text[: (wide - 6) // 6], ink, _font(10))
    return np.asarray(image)


class _Axis:
    """Values to pixels from `first` to `last`, with a little room at both ends."""

    def __init__(self, values: Sequence[float], log: bool, first: float, last: float) -> None:
        self._log, self._first, self._last = log, first, last
        places = [math.log10(value) if log else value for value in values] or [0.0, 1.0]
        low, high = min(places), max(places)
        room = (high - low) * 0.04 or max(abs(high), 1.0) * 0.1
        self._low, self._high = low - room, high + room

    def place(self, value: float) -> float:
        at = math.log10(value) if self._log else value
        return self._first + (at - self._low) / (self._high - self._low) * (self._last - self._first)

    def ticks(self) -> list[tuple[float, float]]:
        """Values that are round, and where they are."""
        values = self._powers() if self._log else []
        if len(values) < 3:
            low, high = (10.0**end if self._log else end for end in (self._low, self._high))
            rough = (high - low) / _TICKS
            unit = 10.0 ** math.floor(math.log10(rough))
            step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough)
            values = [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
        return [(value, self.place(value)) for value in values]

    def _powers(self) -> list[float]:
        """Of ten, or 1, 2 and 5 times them where those are few."""
        exponents = range(math.floor(self._low), math.floor(self._high) + 1)
        for factors in ((1.0,), (1.0, 2.0, 5.0)):
            values = [factor * 10.0**exponent for exponent in exponents for factor in factors]
            values = [value for value in values if self._low <= math.log10(value) <= self._high]
            if len(values) >= 3:
                break
        return values[:: -(-len(values) // (_TICKS + 1)) or 1]


def _kept(curve: Curve, log_x: bool, log_y: bool) -> list[tuple[float, float]]:
    pairs = zip(curve.x, curve.y, strict=True)
    return [
        (x, y)
        for x, y in pairs
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not log_x) and (y > 0 or not log_y)
    ]


def _draw(draw: Any, points: Sequence[tuple[float, float]], colour: tuple[int, int, int], curve: Curve) -> None:
    if curve.dots or len(points) == 1:
        for x, y in points:
            draw.ellipse([(x - 2, y - 2), (x + 2, y + 2)], colour)
    elif points:
        for piece in _dashes(points) if curve.dashed else [points]:
            draw.line(list(piece), colour, 2, joint="curve")


def _dashes(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Pieces of a line, as long as the gaps between them."""
    places = np.asarray(points, np.float64)
    along = np.concatenate([[0.0], np.hypot(*np.diff(places, axis=0).T).cumsum()])
    ends = np.arange(0.0, along[-1], _DASH)
    ends = ends[: len(ends) // 2 * 2]
    cut = np.stack([np.interp(ends, along, places[:, axis]) for axis in range(2)], axis=1)
    return [[(x, y), (to_x, to_y)] for x, y, to_x, to_y in cut.reshape(-1, 4).tolist()]


def _colour(curve: Curve, index: int) -> tuple[int, int, int]:
    return _COLOURS[(index if curve.colour is None else curve.colour) % len(_COLOURS)]


def _number(value: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"


def _font(size: int = 11) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
