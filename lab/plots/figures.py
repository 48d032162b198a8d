"""Curves, matrices and labelled images as pixels, drawn by matplotlib without a display."""

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_DPI = 100
_COLOURS = ("C0", "C3", "C2", "C4", "C1", "C9", "C5", "C6", "C8", "black")  # of matplotlib's default cycle
_TITLE, _TEXT, _SMALL = 10, 9, 8  # points
_POINTS_TO_PIXELS = _DPI / 72
_TITLE_LETTER = 0.55 * _TITLE * _POINTS_TO_PIXELS
_LETTER = 0.62 * _SMALL * _POINTS_TO_PIXELS  # pixels of an average letter of small text
_LEGEND_INSIDE = 4  # curves; with more the legend is drawn beside the axes
_CELL = 34  # pixels of a cell that holds a number
_MAP_CELL = 18
_TILE = 96  # smallest side of an image in pixels


@dataclass(frozen=True)
class Curve:
    """Points that are joined by a line, by dashes, or not joined (`dots`). A curve without a name is not in the legend.
    colour: index into the colours; by default the index of the curve in its plot."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False
    dashed: bool = False
    colour: int | None = None


@dataclass(frozen=True)
class Plot:
    """Curves over one pair of axes. Values that are not finite, or not positive on a logarithmic axis, are left out.

    marks: named positions on the x axis, drawn as vertical lines. y_range: ends of the y axis; by default those of the
    curves. whole_x: the x axis counts, and has ticks at whole numbers.
    """

    curves: Sequence[Curve]
    title: str
    x_label: str
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    marks: Mapping[str, float] = field(default_factory=dict)
    y_range: tuple[float, float] | None = None
    whole_x: bool = False


@dataclass(frozen=True)
class Matrix:
    """Values [R, C] in [0, 1], white to dark blue, with a name for each row and column; `numbers` [R, C] are written
    into the cells."""

    values: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]
    title: str = ""
    row_label: str = ""
    column_label: str = ""
    numbers: np.ndarray | None = None


def plot(plot: Plot, size: tuple[int, int] = (720, 440)) -> np.ndarray:
    """uint8 [H, W, 3]; size: width and height."""
    return plots([plot], columns=1, size=size)


def plots(plots: Sequence[Plot], columns: int = 2, size: tuple[int, int] = (400, 220)) -> np.ndarray:
    """Plots in rows of `columns`, `size` pixels (width, height) each: uint8 [H, W, 3]."""
    columns = min(columns, len(plots))
    rows = -(-len(plots) // columns)
    figure = _figure(size[0] * columns, size[1] * rows)
    for index, plot in enumerate(plots):
        _draw_plot(figure.add_subplot(rows, columns, index + 1), plot)
    return _pixels(figure)


def matrices(matrices: Sequence[Matrix]) -> np.ndarray:
    """Matrices side by side with cells of one size: uint8 [H, W, 3]."""
    most = max(max(len(m.columns), len(m.rows)) for m in matrices)
    cell = _MAP_CELL if all(m.numbers is None for m in matrices) else _CELL if most <= 20 else max(10, 680 // most)
    row_names = [_widest(m.rows) for m in matrices]
    column_names = max(_widest(m.columns) if _is_rotated(m, cell) else _LETTER for m in matrices)
    widths = [
        max(max(cell * len(m.columns), _TITLE_LETTER * len(m.title)) + names + 60, 150)
        for m, names in zip(matrices, row_names, strict=True)
    ]
    height = max(cell * len(m.rows) for m in matrices) + column_names + 90
    figure = _figure(round(sum(widths)), round(max(height, 150)))
    for axes, m in zip(_side_by_side(figure, widths), matrices, strict=True):
        _draw_matrix(axes, m, cell)
    return _pixels(figure)


def labelled_images(
    images: np.ndarray, labels: Sequence[str], predictions: Sequence[str], columns: int = 8
) -> np.ndarray:
    """Images uint8 [N, 1|3, R, R] row by row, each above its label and, in red, its prediction: uint8 [H, W, 3].

    Images are enlarged by integer factors to at least 96 pixels; the font size of long names is reduced.
    """
    count, _, side, _ = images.shape
    factor = -(-_TILE // side)
    columns, line = min(columns, count), round(1.3 * _SMALL * _POINTS_TO_PIXELS)
    wide, high = side * factor + 8, side * factor + 2 * line + 8
    width, height = columns * wide + 8, -(-count // columns) * high + 8
    figure = _figure(width, height)
    for index, (image, *names) in enumerate(zip(images, labels, predictions, strict=True)):
        left, top = index % columns * wide + 8, index // columns * high + 8
        pixels = image.repeat(factor, 1).repeat(factor, 2).transpose(1, 2, 0)
        pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        figure.figimage(pixels[::-1], left, height - top - side * factor, origin="lower")
        for number, (name, colour) in enumerate(zip(names, ("black", "C3"), strict=True)):
            size = min(_SMALL, _SMALL * side * factor / max(len(name) * _LETTER, 1.0))
            at = (left / width, 1.0 - (top + side * factor + number * line + 2) / height)
            figure.text(*at, name, color=colour, fontsize=size, va="top", parse_math=False)
    return _pixels(figure)


def _draw_plot(axes: Any, plot: Plot) -> None:
    handles = []
    drawn: list[tuple[float, float]] = []
    for index, curve in enumerate(plot.curves):
        pairs = zip(curve.x, curve.y, strict=True)
        kept = [(x, y) for x, y in pairs if _can_be_drawn(x, plot.log_x) and _can_be_drawn(y, plot.log_y)]
        drawn += kept
        dots = curve.dots or len(kept) == 1
        style = {"linestyle": "none", "marker": "o", "markersize": 3} if dots else {}
        colour = _COLOURS[(index if curve.colour is None else curve.colour) % len(_COLOURS)]
        (line,) = axes.plot(*(zip(*kept, strict=True) if kept else ([], [])), color=colour, linewidth=1.5, **style)
        if curve.dashed and not dots:
            line.set_linestyle("--")
        if curve.name:
            handles.append((line, curve.name))
    for name, x in plot.marks.items():
        handles.append((axes.axvline(x, color="black", linewidth=1.2, linestyle=":"), name))
    axes.set_title(plot.title, fontsize=_TITLE, loc="left", parse_math=False)
    axes.set_xlabel(plot.x_label, fontsize=_TEXT, parse_math=False)
    axes.set_ylabel(plot.y_label, fontsize=_TEXT, parse_math=False)
    _scale_axis(axes.xaxis, [x for x, _ in drawn], plot.log_x)
    _scale_axis(axes.yaxis, [y for _, y in drawn], plot.log_y)
    if plot.whole_x:
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if plot.y_range is not None:
        low, high = plot.y_range
        room = 0.04 * (high - low) or 0.1 * max(abs(high), 1.0)
        axes.set_ylim(low - room, high + room)
    axes.tick_params(labelsize=_SMALL)
    axes.grid(color="0.88")
    axes.set_axisbelow(True)
    if handles:
        beside = (
            {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if len(handles) > _LEGEND_INSIDE else {"loc": "best"}
        )
        legend = axes.legend(*zip(*handles, strict=True), fontsize=_SMALL, **beside)
        for text in legend.get_texts():
            text.set_parse_math(False)


def _scale_axis(axis: Any, values: Sequence[float], log: bool) -> None:
    """Ticks at round values, with labels without offsets and powers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if log and values:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        decades = math.log10(max(values) / min(values))
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.0 else (1.0,)))
        axis.set_minor_formatter(NullFormatter())
    if log or max(map(abs, values), default=0.0) >= 1000.0:
        axis.set_major_formatter(lambda value, _: _short(value))
    else:
        axis.get_major_formatter().set_useOffset(False)


def _draw_matrix(axes: Any, m: Matrix, cell: int) -> None:
    axes.imshow(m.values, cmap="Blues", vmin=0.0, vmax=1.0)
    rotated = _is_rotated(m, cell)
    small = {"fontsize": min(_SMALL, 0.6 * cell), "parse_math": False}
    axes.set_xticks(range(len(m.columns)), m.columns, rotation=90 if rotated else 0, **small)
    axes.set_yticks(range(len(m.rows)), m.rows, **small)
    axes.tick_params(length=0)
    axes.set_anchor("NW")
    axes.set_title(m.title, fontsize=_TITLE, loc="left", parse_math=False)
    axes.set_xlabel(m.column_label, fontsize=_TEXT)
    axes.set_ylabel(m.row_label, fontsize=_TEXT)
    if m.numbers is None or cell < _CELL:
        return
    for row, column in zip(*np.nonzero(m.numbers), strict=True):
        colour = "white" if m.values[row, column] > 0.5 else "black"
        axes.text(column, row, str(m.numbers[row, column]), color=colour, ha="center", va="center", fontsize=_SMALL)


def _figure(width: int, height: int) -> Any:
    # It warns on standard error about a home directory that it cannot write, and goes on without its cache.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # Imported on use, as it is slow. Not pyplot: it keeps global state.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)  # inches
    return Figure((width / _DPI, height / _DPI), dpi=_DPI, layout=layout)


def _side_by_side(figure: Any, widths: Sequence[float]) -> list[Any]:
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths)
    return [figure.add_subplot(grid[0, index]) for index in range(len(widths))]


def _pixels(figure: Any) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a missing glyph is drawn as a box
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _can_be_drawn(value: float, log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not log)


def _widest(names: Sequence[str]) -> float:
    """Pixels of the longest name."""
    return _LETTER * max((len(name) for name in names), default=1)


def _is_rotated(m: Matrix, cell: int) -> bool:
    """Whether column names are wider than their cells."""
    return _widest(m.columns) > cell


def _short(value: float) -> str:
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{sign}"
    return f"{value:.3g}"
