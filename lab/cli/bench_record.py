"""`lab bench record`: write down how long runs took to reach the target of their preset."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from lab import __version__
from lab.cli.arguments import RunsDir
from lab.cli.curves import catalogue_of
from lab.config.loading import load_run_config
from lab.errors import UserError
from lab.files import durable
from lab.run.lookup import RUNS_DIR, find_run
from lab.run.machine import processor_name
from lab.run.metrics import read
from lab.run.run_dir import CONFIG
from lab.run.time_to_target import best_value, time_to_target
from lab.terminal.streams import say

RECORDS = Path("docs/speed.jsonl")


@dataclass(frozen=True)
class SpeedRecord:
    """One run: what it is, on which machine it ran, and when its metric reached the target.

    precision: of the configuration, `auto` where the run measured it. seconds: of training. progress: the first of the
    run's counters, which the budget limits.
    """

    preset: str
    metric: str
    target: float
    seconds: float
    progress: int
    best: float
    seed: int
    machine: str
    threads: int | None
    precision: str
    version: str


def bench_record(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs, by name or path.", show_default=False)],
    preset: Annotated[str, typer.Option(help="Name of their preset in the record.", show_default=False)],
    target: Annotated[
        float | None, typer.Option(help="Value of evaluate.best.", show_default="the runs' evaluate.target")
    ] = None,
    machine: Annotated[str, typer.Option(help="Where they ran.", show_default="this machine")] = "",
    into: Annotated[Path, typer.Option(help="File of the records, one JSON object a line.")] = RECORDS,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Record the seconds of training until each run reached its target, for the speed page of the documentation.

    A record replaces the one of the same preset, seed, target, machine and number of threads.
    """
    found = [_measure(find_run(run, runs_dir), preset, target, machine or processor_name()) for run in runs]
    records = [json.loads(line) for line in into.read_text(encoding="utf-8").splitlines()] if into.is_file() else []
    replaced = {_identity(asdict(record)) for record in found}
    records = [record for record in records if _identity(record) not in replaced]
    records += [asdict(record) for record in found]
    records.sort(key=lambda record: (record["preset"], record["machine"], record["target"], record["seed"]))
    into.parent.mkdir(parents=True, exist_ok=True)
    durable.write_durably(into, "".join(json.dumps(record) + "\n" for record in records).encode())
    for record in found:
        say(f"{record.preset}: {record.metric} {record.target:g} after {record.seconds:,.0f} s ({record.progress:,})")
    say(f"recorded in {into}")


def _measure(run: Path, preset: str, target: float | None, machine: str) -> SpeedRecord:
    config = load_run_config(run / CONFIG)
    metric = config.evaluate.best
    target = config.evaluate.target if target is None else target
    if metric is None or target is None:
        raise UserError(f"run {run.name} has no target: give --target, a value of its evaluate.best")
    higher = catalogue_of(config.kind)[metric].higher_is_better is not False
    entries = read(run / "metrics.jsonl")
    reached = time_to_target(entries, metric, target, higher_is_better=higher)
    best = best_value(entries, metric, higher_is_better=higher)
    if reached is None or best is None:
        have = "has no value of it yet" if best is None else f"its best is {best:.4g}"
        raise UserError(f"run {run.name} did not reach {metric} {target:g}: {have}")
    return SpeedRecord(
        preset=preset,
        metric=metric,
        target=target,
        seconds=round(reached.seconds, 1),
        progress=next(iter(reached.entry.counters.values()), 0),
        best=best,
        seed=config.seed,
        machine=machine,
        threads=config.threads,
        precision=config.precision,
        version=__version__,
    )


def _identity(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("preset", "metric", "target", "seed", "machine", "threads"))
