"""`lab compare`: curves of several runs, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lab.cli.arguments import Json, RunsDir, print_json
from lab.cli.curves import Series, catalogue_of, collect, curve, default_curves, number
from lab.cli.options import check_suffix_of
from lab.config import presets
from lab.config.suggestions import did_you_mean
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, find_run, stored_kind
from lab.run.metrics import Metric, read
from lab.terminal.consoles import Console

_MOST_RUNS = 10


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Runs, by name or path.", show_default=False)],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Only this metric (may be repeated).", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also draw the curves into this PNG file.", show_default=False)
    ] = None,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Compare runs: the settings in which they differ, latest and best values, and curves by iteration."""
    if out is not None:
        check_suffix_of("--out", out, (".png",))
    paths = _paths(runs, runs_dir)
    names = [path.name for path in paths]
    names = names if len(set(names)) == len(names) else [str(path) for path in paths]
    settings = [presets.leaves(presets.read_settings(presets.read_file(p / "config.yaml"), str(p))) for p in paths]
    series = [collect(read(path / "metrics.jsonl"), catalogue_of(stored_kind(path))) for path in paths]
    different = difference(settings)
    chosen = _metrics(series, metric, settings)
    if as_json:
        print_json(_as_json(names, different, chosen, series, with_curves=bool(metric)))
        return
    console = Console()
    _print_settings(console, names, different)
    _print_values(console, names, chosen, series)
    drawn = []
    for one in chosen:
        lines = [(name, of[one.name]) for name, of in zip(names, map(_by_name, series), strict=True) if one.name in of]
        if any(len(line.values) > 1 for _, line in lines):
            drawn.append((one, lines))
    for one, lines in drawn:
        console.print(curve(one, lines), soft_wrap=True)
    if out is not None:
        _save(out, drawn)


def difference(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Keys whose values differ, with the value of each run; None where a run has no such key."""
    keys = dict.fromkeys(key for flat in settings for key in flat)
    values = {key: [flat.get(key) for flat in settings] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def _paths(runs: Sequence[str], runs_dir: Path) -> list[Path]:
    paths = [find_run(run, runs_dir) for run in runs]
    resolved = [path.resolve() for path in paths]
    if len(paths) < 2:
        raise UserError("give two or more runs to compare; `lab show RUN` shows one")
    if len(paths) > _MOST_RUNS:
        raise UserError(f"{len(paths)} runs are too many for one plot: compare at most {_MOST_RUNS}")
    twice = next((run for run, path in zip(runs, resolved, strict=True) if resolved.count(path) > 1), None)
    if twice is not None:
        raise UserError(f"run {twice!r} is given twice; give each run once")
    return paths


def _by_name(series: Sequence[Series]) -> dict[str, Series]:
    return {one.metric.name: one for one in series}


def _metrics(
    series: Sequence[Sequence[Series]], given: Sequence[str] | None, settings: Sequence[Mapping[str, Any]]
) -> list[Metric]:
    """The metrics given, else the default curves of those that two runs share, else of all."""
    known = {one.metric.name: one.metric for run in series for one in run}
    if given:
        for name in given:
            if name not in known:
                raise UserError(f"no metric {name!r} in these runs; {did_you_mean(name, known)}")
        return [known[name] for name in given]
    counts = [name for run in series for name in _by_name(run)]
    shared = {name for name in known if counts.count(name) > 1}
    best = settings[0].get("evaluate.best")
    found: dict[str, Metric] = {}
    for run in series:
        for one in default_curves([one for one in run if not shared or one.metric.name in shared], best):
            found.setdefault(one.metric.name, one.metric)
    return list(found.values())


def _print_settings(console: Console, names: Sequence[str], different: Mapping[str, Sequence[Any]]) -> None:
    if not different:
        console.say("the settings of these runs are the same")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", overflow="fold")
    for name in names:
        table.add_column(name, overflow="fold")
    for key, values in different.items():
        table.add_row(key, *("-" if value is None else str(value) for value in values))
    console.print(table)


def _print_values(
    console: Console, names: Sequence[str], chosen: Sequence[Metric], series: Sequence[Sequence[Series]]
) -> None:
    if not chosen:
        console.say("these runs have no metric with two values yet")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("\nlatest (best) value", overflow="fold")
    for name in names:
        table.add_column(f"\n{name}", justify="right", overflow="fold")
    table.add_column("\nbetter")
    for metric in chosen:
        better = {True: "higher", False: "lower", None: ""}[metric.higher_is_better]
        table.add_row(metric.name, *(_value(_by_name(run).get(metric.name)) for run in series), better)
    console.print(table)


def _value(series: Series | None) -> str:
    if series is None:
        return "-"
    best = "" if series.best is None else f" ({number(series.values[series.best])})"
    return f"{number(series.values[-1])}{best}"


def _save(out: Path, drawn: Sequence[tuple[Metric, Sequence[tuple[str, Series]]]]) -> None:
    from lab.plots.figures import Curve, Plot, plots
    from lab.plots.images import save_png

    if not drawn:
        raise UserError("--out: these runs have no curve yet")
    save_png(
        out,
        plots(
            [
                Plot(
                    [Curve(name, one.iterations, one.values) for name, one in lines],
                    title=metric.name,
                    x_label="iteration",
                    y_label=metric.unit,
                )
                for metric, lines in drawn
            ],
            size=(560, 320),
        ),
    )


def _as_json(
    names: Sequence[str],
    different: Mapping[str, Sequence[Any]],
    chosen: Sequence[Metric],
    series: Sequence[Sequence[Series]],
    *,
    with_curves: bool,
) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for metric in chosen:
        by_run: dict[str, dict[str, Any]] = {}
        for name, run in zip(names, series, strict=True):
            one = _by_name(run).get(metric.name)
            if one is None:
                continue
            best = None if one.best is None else one.values[one.best]
            by_run[name] = {"latest": one.values[-1], "latest_iteration": one.iterations[-1], "best": best}
            if with_curves:
                by_run[name]["curve"] = [list(point) for point in zip(one.iterations, one.values, strict=True)]
        metrics[metric.name] = {"higher_is_better": metric.higher_is_better, "unit": metric.unit, "runs": by_run}
    settings = {key: dict(zip(names, values, strict=True)) for key, values in different.items()}
    return {"runs": list(names), "settings": settings, "metrics": metrics}
