"""`lab find-lr`: the learning-rate range test of a preset."""

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.arguments import Json, Overrides, RunsDir, print_json, say
from lab.cli.options import check_suffix_of
from lab.errors import UserError
from lab.plots.figures import Curve, Plot, plot
from lab.plots.images import save_png
from lab.run.lookup import RUNS_DIR
from lab.run.named_runs import load_by_path
from lab.run.scratch import scratch_experiment
from lab.train.range_test import LEAST_STEPS, range_test


def find_lr(
    preset: Annotated[
        str,
        typer.Argument(metavar="PRESET", help="A preset of kind supervised or sequences.", show_default=False),
    ],
    overrides: Overrides = None,
    first: Annotated[float, typer.Option("--from", min=1e-12, help="Learning rate of the first step.")] = 1e-6,
    last: Annotated[float, typer.Option("--to", help="Learning rate of the last step.")] = 10.0,
    steps: Annotated[
        int, typer.Option(min=LEAST_STEPS, help="Number of steps, unless the loss diverges earlier.")
    ] = 150,
    out: Annotated[Path, typer.Option(help="FILE.png for the curve.")] = Path("learning_rate.png"),
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Raise the learning rate step by step and suggest the one at which the loss falls fastest.

    No run is kept. The suggestion suits a constant rate or the peak of a cosine schedule; a one-cycle peak may be
    several times higher.
    """
    if first >= last:
        raise UserError(f"--from {first:g} is not below --to {last:g}")
    check_suffix_of("--out", out, (".png",))
    config = load_by_path(preset, overrides or [], runs_dir)
    with scratch_experiment(config) as (experiment, _):
        if not hasattr(experiment, "step"):
            raise UserError(f"experiments of kind {config.kind!r} have no step whose learning rate can be set")
        found = range_test(lambda rate: experiment.step(rate).loss, first, last, steps)
    curve = Curve("loss, smoothed", found.rates, found.losses)
    marks = {f"suggested: {found.suggestion:.2g}": found.suggestion} if found.suggestion else {}
    save_png(out, plot(Plot([curve], f"{preset}: range test", "learning rate", "loss", log_x=True, marks=marks)))
    if as_json:
        print_json({"suggestion": found.suggestion, "rates": found.rates, "losses": found.losses, "figure": str(out)})
        return
    suggested = (
        f"training.learning_rate={found.suggestion:.2g}"
        if found.suggestion
        else "no learning rate in this range lowers the loss"
    )
    say(f"{suggested} ({len(found.rates)} steps, curve in {out})")
