"""`lab show`: a run's metrics as a table and as curves, read from its `metrics.jsonl`."""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.config.registry import find_kind, load
from lab.config.suggestions import did_you_mean
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, find_run, stored_kind
from lab.run.metrics import LOOP_METRICS, Catalogue, Entry, Metric, read
from lab.terminal.consoles import Console

CURVES = 4
CURVE_ROWS = 12


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


def show(
    run: Run,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="Only this metric (may be repeated).", show_default=False),
    ] = None,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Show a run's metrics and curves, while it trains or afterwards."""
    path = find_run(run, runs_dir)
    kind = stored_kind(path)
    entries = read(path / "metrics.jsonl")
    series = collect(entries, catalogue_of(kind))
    if metric:
        series = [_named(name, series) for name in metric]
    if as_json:
        print_json(_as_json(path, kind, entries, series, with_curves=bool(metric)))
        return
    console = Console()
    if not entries:
        console.say(f"run {path.name} has no metrics yet: its first iteration has not ended")
        return
    console.say(_summary(path, kind, entries))
    console.print(_table(series))
    for one in series if metric else _default_curves(series):
        console.print(Text.from_ansi(_curve(one)), soft_wrap=True)


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


def _named(name: str, series: Sequence[Series]) -> Series:
    for one in series:
        if one.metric.name == name:
            return one
    raise UserError(f"no metric {name!r} in this run; {did_you_mean(name, [s.metric.name for s in series])}")


def _default_curves(series: Sequence[Series]) -> list[Series]:
    """The curves without --metric: the first metrics of the kind with two points, if possible with a direction."""
    own = [one for one in series if len(one.values) > 1 and one.metric.name not in LOOP_METRICS]
    return ([one for one in own if one.metric.higher_is_better is not None] or own)[:CURVES]


def _summary(path: Path, kind: str, entries: Sequence[Entry]) -> str:
    last = entries[-1]
    counters = "".join(f", {name} {value:,}" for name, value in last.counters.items() if name != "iterations")
    trained = timedelta(seconds=round(last.seconds))
    return f"run {path.name} ({kind}): iteration {last.iteration:,}{counters}, {trained} of training"


def _table(series: Sequence[Series]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (("metric", "left"), ("latest", "right"), ("best", "right"), ("at", "right")):
        table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("unit", no_wrap=True)
    table.add_column("meaning")
    for one in series:
        best, at = ("", "") if one.best is None else (_number(one.values[one.best]), str(one.iterations[one.best]))
        metric = one.metric
        table.add_row(metric.name, _number(one.values[-1]), best, at, metric.unit, metric.meaning)
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _curve(series: Series) -> str:
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(min(shutil.get_terminal_size((80, 24)).columns, 100), CURVE_ROWS)
    figure.draw(figure.signal(series.iterations, series.values, marker="braille").lines())
    unit = f" [{series.metric.unit}]" if series.metric.unit else ""
    figure.title(f"{series.metric.name}{unit} by iteration")
    return str(figure.build().string())


def _as_json(
    path: Path, kind: str, entries: Sequence[Entry], series: Sequence[Series], *, with_curves: bool
) -> dict[str, Any]:
    last = entries[-1] if entries else Entry(iteration=0)
    return {
        "run": path.name,
        "path": str(path),
        "kind": kind,
        "iteration": last.iteration,
        "counters": last.counters,
        "seconds": last.seconds,
        "metrics": {one.metric.name: _series_json(one, with_curves) for one in series},
    }


def _series_json(series: Series, with_curve: bool) -> dict[str, Any]:
    best, metric = series.best, series.metric
    record: dict[str, Any] = {
        "latest": series.values[-1],
        "latest_iteration": series.iterations[-1],
        "best": None if best is None else series.values[best],
        "best_iteration": None if best is None else series.iterations[best],
        "unit": metric.unit,
        "meaning": metric.meaning,
        "panel": metric.panel,
    }
    if with_curve:
        record["curve"] = [list(point) for point in zip(series.iterations, series.values, strict=True)]
    return record
