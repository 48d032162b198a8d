"""`lab runs`: the runs of a directory, newest first."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lab.cli.arguments import Json, RunsDir, print_json
from lab.cli.curves import catalogue_of, collect, number
from lab.config import presets
from lab.config.registry import find_kind
from lab.errors import UserError
from lab.files.plain import parse_json, read_regular
from lab.run.lookup import LARGEST_MANIFEST, RUNS_DIR, run_names, run_stem
from lab.run.metrics import Entry, read
from lab.terminal.consoles import Console
from lab.terminal.streams import say

_DAMAGED = "damaged"


@dataclass(frozen=True)
class Listed:
    """One run. preset: the shipped preset whose name or description it has, else empty. progress: part of the budget
    in [0, 1] at the newest checkpoint, None before the first. best: of evaluate.best, None without one. age_s: since it
    last wrote a metric, or was created."""

    run: str
    kind: str
    preset: str = ""
    budget: int | None = None
    progress: float | None = None
    iteration: int = 0
    metric: str | None = None
    best: float | None = None
    best_iteration: int | None = None
    age_s: float = 0.0


def runs(
    kind: Annotated[str, typer.Option(help="Only runs of this kind.", show_default=False)] = "",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """List runs, newest first: kind, preset, part of the budget, best value of evaluate.best, age."""
    names = run_names(runs_dir)
    by_stem, by_description = _known_presets()
    found = [_listed(runs_dir / name, by_stem, by_description) for name in names]
    if kind:
        found = [one for one in found if one.kind == kind]
        if not found:
            find_kind(kind)  # a misspelt one is an error; runs are listed whether or not their kind is installed
    found.sort(key=lambda one: (one.age_s, one.run))
    if as_json:
        print_json({"runs": [asdict(one) for one in found]})
        return
    if not found:
        say(f"there are no {kind}{' ' * bool(kind)}runs in {runs_dir} (see --runs-dir); `lab train PRESET` starts one")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("run", "kind", "preset"):
        table.add_column(column, overflow="fold")
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("best", overflow="fold")
    table.add_column("age", justify="right", no_wrap=True)
    for one in found:
        unsaved = "not saved" if one.iteration else ""
        done = unsaved if one.progress is None else f"{int(100 * one.progress)}%"
        best = "" if one.best is None else f"{str(one.metric).removeprefix('eval/')} {number(one.best)}"
        table.add_row(one.run, one.kind, one.preset, done, best, age(one.age_s))
    Console().print(table)


def age(seconds: float) -> str:
    """Seconds as one number with a unit."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds / length)} {unit}"
    return f"{max(0, int(seconds))} s"


def _known_presets() -> tuple[dict[str, str], dict[str, str]]:
    """Names of the presets by the stem of their runs' names, and by description."""
    names = presets.preset_names()
    described = {str(presets.resolve(name).get("description", "")): name for name in names}
    return {run_stem(name): name for name in names}, described


def _listed(path: Path, by_stem: dict[str, str], by_description: dict[str, str]) -> Listed:
    try:
        written = max(_changed(path / "metrics.jsonl"), _changed(path / "config.yaml"))
        settings = presets.read_settings(presets.read_file(path / "config.yaml"), str(path))
        entries = read(path / "metrics.jsonl")
        return _described(path, settings, entries, time.time() - written, by_stem, by_description)
    except (UserError, OSError, ValueError, OverflowError, RecursionError):
        return Listed(path.name, _DAMAGED)  # one of them must not hide the others; `lab show` says why


def _described(
    path: Path,
    settings: dict[str, Any],
    entries: list[Entry],
    age_s: float,
    by_stem: dict[str, str],
    by_description: dict[str, str],
) -> Listed:
    kind, budget, evaluate = settings.get("kind"), settings.get("budget"), settings.get("evaluate")
    metric = evaluate.get("best") if isinstance(evaluate, dict) else None
    preset = by_stem.get(path.name.rpartition("-")[0]) or by_description.get(
        str(settings.get("description") or "-"), ""
    )
    kind = kind if isinstance(kind, str) else _DAMAGED
    series = next((one for one in collect(entries, catalogue_of(kind)) if one.metric.name == metric), None)
    at = None if series is None else series.best
    return Listed(
        run=path.name,
        kind=kind,
        preset=preset,
        budget=budget if isinstance(budget, int) else None,
        progress=_progress(path, budget),
        iteration=entries[-1].iteration if entries else 0,
        metric=metric,
        best=None if series is None or at is None else series.values[at],
        best_iteration=None if series is None or at is None else series.iterations[at],
        age_s=age_s,
    )


def _progress(path: Path, budget: Any) -> float | None:
    """The part of the budget that the newest readable checkpoint has reached; None without one.

    The metrics do not count: iterations after the checkpoint are lost if the run ends without another.
    """
    if not isinstance(budget, int) or budget <= 0:
        return None
    manifests = [one for one in (path / "checkpoints").glob("*/manifest.json") if one.parent.name.isdecimal()]
    for manifest in sorted(manifests, key=lambda one: -int(one.parent.name)):
        try:
            content = parse_json(read_regular(manifest, LARGEST_MANIFEST))
            return min(1.0, content["counters"][content["meta"]["progress"]] / budget)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
