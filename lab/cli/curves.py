"""Curves in the terminal, and the series of metrics that they draw."""

from __future__ import annotations

import importlib.util
import math
import shutil
import string
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from lab.config.registry import find_kind, load
from lab.config.suggestions import did_you_mean
from lab.errors import UserError
from lab.run.metrics import LOOP_METRICS, Catalogue, Entry, Metric
from lab.terminal.text import printable

CURVES = 4
CURVE_ROWS = 12
_COLUMNS = 100  # widest curve
_LOSS = 2  # rank of losses in `default_curves`
_TECHNICAL = ("speed", "time", "memory")  # panels


@dataclass(frozen=True)
class Series:
    """One metric over the run: its finite values, oldest first, at their iterations."""

    metric: Metric
    iterations: list[int]
    values: list[float]

    @property
    def best(self) -> int | None:
        """Index of the first best value; None when neither direction is better."""
        if self.metric.higher_is_better is None:
            return None
        choose = max if self.metric.higher_is_better else min
        return self.values.index(choose(self.values))


def catalogue_of(kind: str) -> Catalogue:
    """The metrics of a kind of experiment; only those of the run loop if the kind is not installed."""
    try:
        target = find_kind(kind).catalogue
        if target and importlib.util.find_spec(target.partition(":")[0]) is not None:
            catalogue: Catalogue = load(target)
            return LOOP_METRICS | catalogue
    except (UserError, ModuleNotFoundError):
        pass
    return LOOP_METRICS


def collect(entries: Sequence[Entry], catalogue: Catalogue) -> list[Series]:
    """The series of every metric with a finite value, in the catalogue's order, those of the run loop last."""
    points: dict[str, list[tuple[int, float]]] = {}
    for entry in entries:
        for name, value in entry.metrics.items():
            if math.isfinite(value):
                points.setdefault(name, []).append((entry.iteration, value))
    order = [name for name in catalogue if name not in LOOP_METRICS]
    order += [*sorted(set(points) - set(catalogue)), *LOOP_METRICS]
    series = []
    for name in [name for name in order if name in points]:
        iterations, values = zip(*points[name], strict=True)
        metric = catalogue.get(name, Metric(name, "", "", ""))
        series.append(Series(metric, list(iterations), list(values)))
    return series


def named(name: str, series: Sequence[Series]) -> Series:
    """The series of a metric; UserError names the nearest."""
    for one in series:
        if one.metric.name == name:
            return one
    raise UserError(f"no metric {name!r} in this run; {did_you_mean(name, [s.metric.name for s in series])}")


def default_curves(series: Sequence[Series], best: str | None = None) -> list[Series]:
    """The curves that are shown without a choice: evaluate.best, evaluations, losses, then whatever has two points.

    Evaluations leave room for two losses: without them nobody sees a GAN collapse.
    """
    own = [one for one in series if len(one.values) > 1 and one.metric.name not in LOOP_METRICS]

    def rank(one: Series) -> int:
        name, graded = one.metric.name, one.metric.higher_is_better is not None
        marks = (
            name == best,
            graded and one.metric.panel == "eval",
            "loss" in name,
            graded and one.metric.panel not in _TECHNICAL,
            one.metric.panel not in _TECHNICAL,
        )
        return marks.index(True) if True in marks else len(marks)

    ordered = sorted(own, key=rank)
    losses = [one for one in ordered if rank(one) == _LOSS]
    first = [one for one in ordered if rank(one) < _LOSS][: CURVES - min(len(losses), CURVES // 2)]
    return [*first, *(one for one in ordered if rank(one) >= _LOSS)][:CURVES]


def number(value: float) -> str:
    """A value of a metric as text."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def curve(metric: Metric, lines: Sequence[tuple[str, Series]]) -> Text:
    """A metric by iteration; several lines are drawn by letters, with a legend of their names."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(min(shutil.get_terminal_size((80, 24)).columns, _COLUMNS), CURVE_ROWS)
    markers = ["braille"] if len(lines) == 1 else string.ascii_letters
    for marker, (_, one) in zip(markers, lines, strict=False):
        figure.draw(figure.signal(one.iterations, one.values, marker=marker).lines())
    unit = f" [{metric.unit}]" if metric.unit else ""
    figure.title(printable(f"{metric.name}{unit} by iteration"))
    # Beside the axes a legend of plotext covers the curves.
    named = zip(markers, lines, strict=False)
    legend = "" if len(lines) == 1 else "  ".join(f"{letter}: {printable(name)}" for letter, (name, _) in named) + "\n"
    return Text.from_ansi(str(figure.build().string()).rstrip("\n")).append(f"\n{legend}")
