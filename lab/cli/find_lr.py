"""`lab find-lr`: the learning-rate range test of a preset."""

import math
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.arguments import Json, Overrides, RunsDir, print_json
from lab.cli.options import check_suffix_of
from lab.errors import UserError
from lab.plots.figures import Curve, Plot, plot
from lab.plots.images import save_png
from lab.run.lookup import RUNS_DIR
from lab.run.named_runs import load_by_path
from lab.run.scratch import scratch_experiment
from lab.terminal.streams import say
from lab.train.range_test import LEAST_STEPS, RangeTest, range_test


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
    """Raise the learning rate step by step and suggest the one at which the loss has done most of its fall.

    No run is kept. The suggestion suits a constant rate or the peak of a cosine schedule; a one-cycle peak may be
    several times higher.
    """
    if not math.isfinite(last):
        raise UserError(f"--to {last:g} is not a finite learning rate")
    if first >= last:
        raise UserError(f"--from {first:g} is not below --to {last:g}")
    check_suffix_of("--out", out, (".png",))
    config = load_by_path(preset, overrides or [], runs_dir)
    with scratch_experiment(config) as (experiment, _):
        if not hasattr(experiment, "step"):
            raise UserError(f"experiments of kind {config.kind!r} have no step whose learning rate can be set")
        found = range_test(lambda rate: experiment.step(rate).loss, first, last, steps)
    save_png(out, plot(_figure(found, preset)))
    if as_json:
        print_json(found._asdict() | {"figure": str(out)})
        return
    say(f"{_verdict(found)} ({len(found.rates)} steps, curve in {out})")


def _verdict(found: RangeTest) -> str:
    if not found.rates:
        return "the loss of the first step is not finite; start at a lower rate with --from"
    if found.suggestion is None:
        seen = f"{found.start:.4g} at the start, {found.lowest:.4g} at best"
        return f"no fall of the loss was seen ({seen}): try another range with --from and --to, or more --steps"
    verdict = f"training.learning_rate={found.suggestion:.2g}"
    return f"{verdict}; the loss still falls at the last rate, so try a higher --to" if found.still_falling else verdict


def _figure(found: RangeTest, preset: str) -> Plot:
    """Losses and the smoothed curve, on which the suggestion is marked."""
    curves = [Curve("loss", found.rates, found.raw, dots=True, colour=5), Curve("smoothed", found.rates, found.losses)]
    marks: dict[str, float] = {}
    if found.suggestion is not None and found.suggested_loss is not None:
        name = f"suggested: {found.suggestion:.2g}"
        curves.append(Curve("", [found.suggestion], [found.suggested_loss], dots=True, colour=1))
        marks[name] = found.suggestion
    shown = sorted(found.raw)[: max(1, int(0.95 * len(found.raw)))]  # the divergence would flatten the rest
    start = found.start or 0.0
    top = max((loss for loss in shown if loss <= 2.0 * abs(start) + start), default=start)
    bounds = (min(shown), top) if shown else None
    title = f"{preset}: range test" + ("" if found.suggestion else ", no fall seen")
    return Plot(curves, title, "learning rate", "loss", log_x=True, marks=marks, y_range=bounds)
