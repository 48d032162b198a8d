"""`lab sweep`: train a preset with many settings on Ray and print the best."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cluster.cli.tables import print_table
from cluster.sweeps import search_space
from cluster.sweeps.sweep import RESULTS, SweepOptions, run_sweep
from cluster.sweeps.trial import Trial
from lab.cli.arguments import RunsDir
from lab.cli.curves import catalogue_of
from lab.config.limits import LARGEST_SEED
from lab.config.loading import load_preset
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, run_stem
from lab.run.run_dir import RunDir, check_name
from lab.terminal import streams
from lab.terminal.streams import say


def sweep(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A name from `lab list`, or a YAML file's path.")],
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=RANGE...",
            help="choice(a, b), uniform(low, high), loguniform(low, high) or randint(low, high); "
            "KEY=VALUE sets the same value in all trials.",
        ),
    ],
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of trials.", show_default=f"the grid of choices, else {search_space.DEFAULT_TRIALS}"
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric that ranks the trials.", show_default="evaluate.best")] = "",
    scheduler: Annotated[
        str,
        typer.Option(
            help="asha stops the worse trials early, pbt replaces them with copies of better ones, none does neither."
        ),
    ] = "asha",
    grace_period: Annotated[int, typer.Option(min=1, help="Values of the metric before asha may stop a trial.")] = 1,
    intervals: Annotated[
        int, typer.Option(min=2, help="Equal parts of the budget; pbt compares the trials after each.")
    ] = 10,
    max_concurrent: Annotated[
        int, typer.Option(min=0, help="Trials that run at the same time.", show_default="as many as fit")
    ] = 0,
    address: Annotated[
        str, typer.Option(help="A running cluster, HOST:PORT.", show_default="a local cluster is started")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the samples.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the sweep.", show_default="PRESET-sweep-001, -002 ...")] = "",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Search hyperparameters: train a preset with many settings and print the best."""
    space, fixed = search_space.parse(settings)
    if not space:
        raise UserError("no search space: give a range, as in training.learning_rate=loguniform(1e-4, 1e-2)")
    config = load_preset(preset, fixed)
    name = check_name(name) if name else RunDir.next_numbered(runs_dir, f"{run_stem(preset)}-sweep")
    options = SweepOptions(
        scheduler=scheduler,
        trials=trials,
        metric=metric,
        grace_period=grace_period,
        intervals=intervals,
        max_concurrent=max_concurrent,
        address=address,
        seed=seed,
    )
    folder = (runs_dir / name).resolve()
    with streams.guarded(outlive=True):
        result = run_sweep(
            preset, fixed, space, options, folder=runs_dir / name, config=config, catalogue=catalogue_of(config.kind)
        )
    if result.signal:
        # A trial of PBT has the budget of its interval.
        rest = f" budget={config.budget}" if scheduler == "pbt" else ""
        say(f"{result.signal.name}: stopped; continue a trial with `lab resume {folder}/TRIAL{rest}`")
        raise typer.Exit(128 + result.signal)
    _print(result.trials, result.metric)
    say(f"results are in {folder / RESULTS}; see the best trial with `lab show {folder / result.trials[0].name}`")
    if any(trial.state == "failed" for trial in result.trials):
        raise typer.Exit(1)


def _print(trials: Sequence[Trial], metric: str) -> None:
    rows = []
    for trial in trials:
        value = "" if trial.value is None else f"{trial.value:.5g}"
        rows.append([trial.name, *map(_text, trial.settings.values()), value, str(trial.iteration), trial.state])
    print_table(["trial", *trials[0].settings, metric, "iteration", "state"], rows)
    best = trials[0]
    if len(best.segments) > 1:
        say(f"settings of {best.name} during training:")
        for segment in best.segments:
            given = ", ".join(f"{key}={_text(value)}" for key, value in segment.settings.items())
            say(f"  {given} from iteration {segment.iteration}, as trial {segment.trial}")


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
