"""`lab sweep`: ordinary runs of a preset at many settings, side by side on Ray; those that fall behind end or change.

Every trial is a run of its own in runs/<sweep>/<trial>, which must be on storage that all nodes see; `lab resume` goes
on with one that was stopped. Through Ray Tune (`cluster.sweeps.tune`), or as a population
(`cluster.sweeps.population_based_training`).
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from cluster.pool.connection import connect, gpus_per_worker
from cluster.pool.placement import PlacementGroup, Resources, placement_timeout_s
from cluster.sweeps import population_based_training, search_space
from cluster.sweeps.population_based_training import Population
from cluster.sweeps.trials import Trial, outcome, ranked
from cluster.sweeps.tune import Tuning
from lab.cli.arguments import RunsDir
from lab.config.loading import load_preset
from lab.config.registry import find_kind, load
from lab.config.sections import ExperimentConfig
from lab.config.suggestions import did_you_mean
from lab.errors import UserError
from lab.files import durable
from lab.run.interrupt import Interrupt
from lab.run.lookup import RUNS_DIR, run_stem
from lab.run.metrics import LOOP_METRICS, Catalogue
from lab.run.named_runs import by_path
from lab.run.run_dir import RunDir, check_name
from lab.train import device as devices

RESULTS = "sweep.json"
_SCHEDULERS = ("asha", "pbt", "none")


def sweep(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A name from `lab list`, or a YAML file's path.")],
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=RANGE...",
            help="choice(a, b), uniform(l, h), loguniform(l, h) or randint(l, h); KEY=VALUE holds for all.",
        ),
    ],
    trials: Annotated[
        int, typer.Option(min=0, help="How many.", show_default=f"the grid of choices, else {search_space.SAMPLED}")
    ] = 0,
    metric: Annotated[str, typer.Option(help="What the best is best at.", show_default="evaluate.best")] = "",
    scheduler: Annotated[
        str,
        typer.Option(help="asha stops trials that fall behind, pbt has them go on as copies of better ones; or none."),
    ] = "asha",
    grace: Annotated[int, typer.Option(min=1, help="Values of the metric before asha may stop a trial.")] = 1,
    parts: Annotated[int, typer.Option(min=2, help="Of the budget, after each of which pbt compares.")] = 10,
    concurrent: Annotated[int, typer.Option(min=0, help="Trials at a time.", show_default="as many as fit")] = 0,
    address: Annotated[str, typer.Option(help="A running cluster, host:port.", show_default="start one here")] = "",
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the sweep.", show_default="PRESET-sweep-001, -002 ...")] = "",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Train a preset at many settings and print which are best."""
    ranges, fixed = search_space.parse(settings)
    if not ranges:
        raise UserError("nothing to search: give a range, as in training.learning_rate=loguniform(1e-4, 1e-2)")
    if scheduler not in _SCHEDULERS:
        raise UserError(f"unknown scheduler {scheduler!r}; use {', '.join(_SCHEDULERS)}")
    config = load_preset(preset, fixed)
    metric, mode = objective(config, metric or config.evaluate.best or "")
    name = check_name(name) if name else RunDir.next_numbered(runs_dir, f"{run_stem(preset)}-sweep")
    folder = (runs_dir / name).resolve()
    if folder.exists():
        raise UserError(f"{folder} exists: give the sweep another --name")
    plan = [
        Trial(f"{number:03d}", point) for number, point in enumerate(search_space.points(ranges, trials, seed), start=1)
    ]
    given = {trial.name: by_path(preset, [*fixed, *search_space.overrides(trial.settings)], runs_dir) for trial in plan}
    budgets = {name: _checked(load_preset(preset, overrides)).budget for name, overrides in given.items()}
    if scheduler == "pbt":
        population_based_training.check(config, ranges, len(plan))
    resolved = devices.resolve(config.device, config.precision, config.threads)
    # Not validated: an address alone is for runs with workers. A trial's learner has the share of one, and no more.
    changes = {"address": address or None, "workers": concurrent or len(plan), "learner_cpus": 0.0, "learner_gpus": 0.0}
    cluster = config.cluster.model_copy(update=changes)
    history: list[dict[str, Any]] = []
    with connect(cluster.model_copy(update={"workers": 0}), resolved) as connection, Interrupt() as interrupt:
        resources = Resources(cluster.worker_cpus, gpus_per_worker(cluster, resolved, connection.gpus), threads=1)
        PlacementGroup([resources], placement_timeout_s(cluster, connection.started), ["worker_cpus"]).close()
        print(f"sweep {name}: {len(plan)} trials on {connection}, the best by {metric} ({mode})", flush=True)
        settled = [f"tracking.group={name}", *([] if resources.gpus else ["device=cpu"])]
        given = {trial: [*overrides, *settled] for trial, overrides in given.items()}
        if scheduler == "pbt":
            configs = {trial: load_preset(preset, overrides) for trial, overrides in given.items()}
            search = Population(folder, ranges, metric, mode, parts, seed, concurrent or len(plan), resources, history)
            failed = search.run(configs, plan, interrupt)
        else:
            asha = grace if scheduler == "asha" else None
            tuning = Tuning(folder, config.kind, metric, mode, asha, concurrent or None, resources)
            commands = {trial: _command(preset, overrides, trial, folder) for trial, overrides in given.items()}
            failed = tuning.run(commands, interrupt)
    results = ranked(
        [outcome(folder, trial, budgets[trial.name], metric, mode, trial.name in failed) for trial in plan], mode
    )
    record = {"metric": metric, "mode": mode, "trials": [asdict(trial) for trial in results], "parts": history}
    durable.write_durably(folder / RESULTS, json.dumps(record, indent=1).encode())
    if interrupt.signal:
        rest = f" budget={config.budget}" if scheduler == "pbt" else ""
        print(f"{interrupt.signal.name}: stopped; each trial goes on by itself with `lab resume {folder}/TRIAL{rest}`")
        raise typer.Exit(interrupt.exit_code)
    _print(results, metric, folder)
    if any(trial.state == "failed" for trial in results):
        raise typer.Exit(1)


def objective(config: ExperimentConfig, metric: str) -> tuple[str, Literal["min", "max"]]:
    """The metric and which way is better. Raises UserError for one that is not the kind's or has no better."""
    kind = find_kind(config.kind)
    catalogue: Catalogue = LOOP_METRICS | load(kind.catalogue) if kind.catalogue else LOOP_METRICS
    judged = [name for name, found in catalogue.items() if found.higher_is_better is not None]
    if not metric:
        raise UserError(f"what makes a trial the best? give --metric, one of {', '.join(judged)}")
    if metric not in judged:
        raise UserError(f"no metric {metric!r} in which more or less is better; {did_you_mean(metric, judged)}")
    return metric, "max" if catalogue[metric].higher_is_better else "min"


def _checked(config: ExperimentConfig) -> ExperimentConfig:
    if config.cluster.used:
        raise UserError(
            "a trial runs in one process; leave cluster.workers at 0, cluster.learners at 1 and cluster.evaluator off"
        )
    return config


def _command(preset: str, overrides: Sequence[str], trial: str, folder: Path) -> list[str]:
    preset = str(Path(preset).resolve()) if preset.endswith(".yaml") else preset
    train = [sys.executable, "-m", "lab", "train", preset, *overrides]
    return [*train, "--name", trial, "--resume", "--runs-dir", str(folder)]


def _print(trials: Sequence[Trial], metric: str, folder: Path) -> None:
    table = Table("trial", *trials[0].settings, metric, "iteration", "state")
    for trial in trials:
        value = "" if trial.value is None else f"{trial.value:.5g}"
        table.add_row(trial.name, *map(_shown, trial.settings.values()), value, str(trial.iteration), trial.state)
    Console().print(table)
    best = trials[0]
    if len(best.lineage) > 1:
        print(f"{best.name} was trained with")
        for segment in best.lineage:
            given = ", ".join(f"{key}={_shown(value)}" for key, value in segment.settings.items())
            print(f"  {given} from iteration {segment.iteration}, as {segment.trial}")
    print(f"{folder / RESULTS}; look at the best with `lab show {folder / best.name}`")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
