"""`lab show`: a run's metrics as a table and as curves, read from its `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.curves import Series, catalogue_of, collect, curve, default_curves, named, number
from lab.run.lookup import RUNS_DIR, find_run, stored_kind
from lab.run.metrics import Entry, read
from lab.terminal.consoles import Console


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
        series = [named(name, series) for name in metric]
    if as_json:
        print_json(_as_json(path, kind, entries, series, with_curves=bool(metric)))
        return
    console = Console()
    if not entries:
        if any((path / "checkpoints").glob("*/manifest.json")):
            console.say(f"run {path.name} has checkpoints, but its metrics are lost: metrics.jsonl is gone or empty")
        else:
            console.say(f"run {path.name} has no metrics yet: its first iteration has not ended")
        return
    console.say(_summary(path, kind, entries))
    console.print(_table(series))
    for one in series if metric else default_curves(series):
        console.print(curve(one.metric, [("", one)]), soft_wrap=True)


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
        best, at = ("", "") if one.best is None else (number(one.values[one.best]), str(one.iterations[one.best]))
        metric = one.metric
        table.add_row(metric.name, number(one.values[-1]), best, at, metric.unit, metric.meaning)
    return table


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
