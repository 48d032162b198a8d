"""Pictures of series: real ones beside generated ones, and what their sets have in common."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # told apart by all eyes
_WIDTH, _HEIGHT, _GAP, _TITLE = 360, 110, 14, 18
_DASHES = 30
_SCALE = 2  # drawn larger and reduced: PIL's lines have no soft edges


class Curve(NamedTuple):
    """Values at steps 0, 1, ... [T]; the colour is that of a channel."""

    values: np.ndarray
    channel: int
    dashed: bool = False


class Panel(NamedTuple):
    """Curves between two heights under a title."""

    title: str
    curves: Sequence[Curve]
    low: float
    high: float


def draw_panels(rows: Sequence[Sequence[Panel]]) -> np.ndarray:
    """Rows of panels, as many in each -> one picture uint8 [H, W, 3]."""
    width, height = _WIDTH + _GAP, _HEIGHT + _TITLE + _GAP
    size = (_GAP + width * max(len(row) for row in rows), _GAP + height * len(rows))
    sheet = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), "white")
    canvas = ImageDraw.Draw(sheet)
    for index, row in enumerate(rows):
        for column, panel in enumerate(row):
            _draw(canvas, panel, _GAP + column * width, _GAP + index * height)
    return np.asarray(sheet.resize(size, Image.Resampling.LANCZOS))


def series_panels(left: np.ndarray, right: np.ndarray | None = None) -> list[list[Panel]]:
    """Series [K, T, C], with `right` [K, T, C] real ones and generated ones beside them, all at one height."""
    every = left if right is None else np.concatenate([left, right])
    low, high = float(every.min()), float(every.max())

    def panel(title: str, values: np.ndarray) -> Panel:
        return Panel(title, [Curve(values[:, channel], channel) for channel in range(values.shape[1])], low, high)

    if right is None:
        return [[panel(f"series {index}", values)] for index, values in enumerate(left)]
    return [
        [panel(f"real {index}", one), panel(f"generated {index}", other)]
        for index, (one, other) in enumerate(zip(left, right, strict=True))
    ]


def paired_panel(title: str, real: np.ndarray, generated: np.ndarray) -> Panel:
    """Real [T, C] in lines, generated [T, C] in dashes; 0 is in the panel, so that small differences look small."""
    curves = [Curve(real[:, channel], channel) for channel in range(real.shape[1])]
    curves += [Curve(generated[:, channel], channel, dashed=True) for channel in range(real.shape[1])]
    every = np.concatenate([real, generated])
    return Panel(title, curves, min(0.0, float(every.min())), float(every.max()))


def _draw(canvas: ImageDraw.ImageDraw, panel: Panel, left: int, top: int) -> None:
    font = ImageFont.load_default(size=11 * _SCALE)
    canvas.text((left * _SCALE, top * _SCALE), panel.title, fill="#333333", font=font)
    top += _TITLE
    box = [left * _SCALE, top * _SCALE, (left + _WIDTH) * _SCALE, (top + _HEIGHT) * _SCALE]
    canvas.rectangle(box, outline="#bbbbbb")
    span = panel.high - panel.low or 1.0
    if panel.low < 0.0 < panel.high:
        zero = float(_place(np.zeros(()), panel.low, span, top))
        canvas.line([box[0], zero, box[2], zero], fill="#dddddd")
    for curve in panel.curves:
        colour = _COLOURS[curve.channel % len(_COLOURS)]
        shares = np.linspace(0.0, 1.0, len(curve.values))
        fine = np.linspace(0.0, 1.0, 2 * _DASHES) if curve.dashed else shares
        across = box[0] + fine * (box[2] - box[0])
        up = _place(np.interp(fine, shares, curve.values), panel.low, span, top)
        points = np.stack([across, up], axis=1)
        pieces = points.reshape(_DASHES, 2, 2) if curve.dashed else points[None]
        for piece in pieces:
            canvas.line([tuple(point) for point in piece.tolist()], fill=colour, width=_SCALE + 1, joint="curve")


def _place(values: np.ndarray, low: float, span: float, top: int) -> np.ndarray:
    """The height on the canvas, a little off the frame."""
    return (top + _HEIGHT * (0.96 - 0.92 * (values - low) / span)) * _SCALE
