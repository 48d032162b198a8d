"""`lab ablate`: switch one idea at a time on or off, and compare the runs at equal cost."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from cluster.cli.tables import print_table
from cluster.sweeps import ablation
from cluster.sweeps.ablation import BASELINE, RESULTS, AblationPlan, Row
from cluster.sweeps.equal_cost import Gain
from cluster.sweeps.sweep import objective
from cluster.sweeps.trial_runners import InTurn, OnRay, RunTrials
from lab.cli.arguments import Overrides, RunsDir
from lab.cli.curves import catalogue_of
from lab.config.ablation import Ablation, choose
from lab.config.loading import load_preset
from lab.config.registry import find_kind, load
from lab.errors import UserError
from lab.files import durable
from lab.run.interrupt import Interrupt
from lab.run.lookup import RUNS_DIR, run_stem
from lab.run.run_dir import RunDir, check_name
from lab.terminal import streams
from lab.terminal.streams import say
from lab.train import device as devices

EVERY = "all"


def ablate(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A name from `lab list`, or a YAML file's path.")],
    overrides: Overrides = None,
    switches: Annotated[
        str, typer.Option(help="Names of switches, separated by commas, or all.", show_default=False)
    ] = "",
    switch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: KEY=VALUE ...'", help="A switch of your own (may be repeated).", show_default=False
        ),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Start with all switches on and turn one at a time off.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each variant, with the seeds 0, 1, ...")] = 2,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Budget of the baseline.", show_default="the preset's")
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric that is compared.", show_default="evaluate.best")] = "",
    workers: Annotated[
        int, typer.Option(min=0, help="Runs at the same time, on Ray.", show_default="0: in turn, without Ray")
    ] = 0,
    address: Annotated[
        str, typer.Option(help="A running cluster, HOST:PORT.", show_default="a local cluster is started")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the ablation.", show_default="PRESET-ablation-001 ...")] = "",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Measure what each idea gains: runs with one switch on (or off), at equal cost and at equal seconds.

    The cost of AlphaZero is the number of network evaluations. The same command with the same --name continues an
    ablation that was stopped.
    """
    config = load_preset(preset, overrides or [])
    target = find_kind(config.kind).ablation
    if not target:
        raise UserError(f"experiments of kind {config.kind!r} have no switches; `lab sweep` compares their settings")
    known: Ablation = load(target)
    every = [one for one, found in known.switches.items() if found.applies(config)]
    named = every if switches == EVERY else [part.strip() for part in switches.split(",") if part.strip()]
    chosen = choose(known.switches, named, switch or [])
    if not chosen:
        raise UserError(f"no switches: give --switches with some of {', '.join(known.switches)}, or a --switch")
    for one, found in chosen.items():
        if found.needs is not None and not found.applies(config):
            raise UserError(f"switch {one!r} has no effect without {'='.join(found.needs)}; give it for all runs")
    if BASELINE in chosen:
        raise UserError(f"a switch cannot be named {BASELINE!r}")
    if address and not workers:
        raise UserError("--address needs --workers, the number of runs at the same time")
    catalogue = catalogue_of(config.kind)
    metric, mode = objective(metric or config.evaluate.best or "", catalogue)
    plan = AblationPlan(
        preset=preset,
        overrides=overrides or [],
        switches={one: replace(found, off=found.off_in(config)) for one, found in chosen.items()},
        removed=remove,
        seeds=seeds,
        budget=budget or config.budget,
        metric=metric,
        higher_is_better=mode == "max",
        ablation=known,
    )
    ablation.check(plan)
    name = check_name(name) if name else RunDir.next_numbered(runs_dir, f"{run_stem(preset)}-ablation")
    folder = runs_dir / name
    ablation.prepare(plan, folder)
    run_trials: RunTrials = InTurn(folder)
    if workers:
        device = devices.resolve(config.device, config.precision, config.threads)
        cluster = config.cluster.model_copy(update={"address": address or None})
        run_trials = OnRay(folder.resolve(), catalogue, metric, mode, workers, cluster, device)
    with streams.guarded(outlive=True), Interrupt() as interrupt:
        say(f"ablation {name}: {len(plan.trials())} runs, compared by {metric} ({mode})")
        ablation.train(plan, folder, run_trials, interrupt)
    if interrupt:
        say(f"stopped; repeat the command with --name {name} to continue")
        raise typer.Exit(interrupt.exit_code)
    rows = ablation.table(plan, folder)
    record = _record(plan, rows)
    durable.write_durably(folder / RESULTS, json.dumps(record, indent=1).encode())
    _print(plan, rows)
    say(f"results are in {folder / RESULTS}; compare curves with `lab compare`")


def _record(plan: AblationPlan, rows: Sequence[Row]) -> dict[str, Any]:
    found = []
    for row in rows:
        switch = plan.switches.get(row.variant)
        given = {"overrides": list(switch.overrides), "source": switch.source} if switch else {}
        gains = {key: _gain_record(getattr(row, key)) for key in ("gain_at_cost", "gain_at_seconds")}
        found.append(asdict(row) | gains | given)
    keys = {"preset": plan.preset, "metric": plan.metric, "cost": plan.ablation.cost, "seeds": plan.seeds}
    return keys | {"budget": plan.budget, "removed": plan.removed, "variants": found}


def _gain_record(gain: Gain | None) -> dict[str, float | None] | None:
    if gain is None:
        return None
    return {"mean": gain.mean, "half_width": None if math.isnan(gain.half_width) else gain.half_width}


def _print(plan: AblationPlan, rows: Sequence[Row]) -> None:
    cost = plan.ablation.cost.replace("_", " ")
    names = [row.variant if row.variant == BASELINE or not plan.removed else f"without {row.variant}" for row in rows]
    columns = ["variant", f"{plan.metric}\nat equal {cost}", "gain of\nthe switch", "at equal\nseconds", "gain"]
    cells = [
        [
            name,
            f"{row.at_cost:.4g}",
            _text(row.gain_at_cost),
            f"{row.at_seconds:.4g}",
            _text(row.gain_at_seconds),
            f"{row.cost:,.0f}",
            f"{row.seconds:,.0f}",
        ]
        for name, row in zip(names, rows, strict=True)
    ]
    print_table([*columns, f"{cost}\nof a run", "seconds\nof a run"], cells)
    if plan.seeds > 1:
        say(f"a gain is the mean over {plan.seeds} seeds with its 95% interval (Student's t)")


def _text(gain: Gain | None) -> str:
    if gain is None:
        return ""
    return f"{gain.mean:+.4g}" + ("" if math.isnan(gain.half_width) else f" ± {gain.half_width:.2g}")
