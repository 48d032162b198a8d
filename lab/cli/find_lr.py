"""`lab find-lr`: the loss while the learning rate rises, and the rate to begin with (Smith 2017, section 3.3)."""

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from torch import Tensor

from lab.cli.arguments import Json, Overrides, RunsDir, print_json
from lab.config.registry import find_kind, load
from lab.errors import UserError
from lab.plots import figures
from lab.plots.images import save_png
from lab.run.lookup import RUNS_DIR
from lab.run.named_runs import load_by_path
from lab.train import device as devices
from lab.train import random_state

_SMOOTHING = 0.9
_DIVERGED = 4.0  # times the least loss
_LEAST_STEPS = 20


class Sweep(NamedTuple):
    """Rates and smoothed losses as far as the sweep came; `suggestion` is a rate, None where the loss never fell."""

    rates: list[float]
    losses: list[float]
    suggestion: float | None


def find_lr(
    preset: Annotated[
        str,
        typer.Argument(metavar="PRESET", help="Of what learns from labels or sequences.", show_default=False),
    ],
    overrides: Overrides = None,
    least: Annotated[float, typer.Option("--from", min=1e-12, help="Rate of the first step.")] = 1e-6,
    most: Annotated[float, typer.Option("--to", help="Rate of the last step.")] = 10.0,
    steps: Annotated[int, typer.Option(min=_LEAST_STEPS, help="Steps, if the loss does not diverge before.")] = 150,
    out: Annotated[Path, typer.Option(help="FILE.png of the curve.")] = Path("learning_rate.png"),
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Raise the learning rate step by step and suggest one: where the loss falls fastest.

    It leaves no run behind. The suggestion suits a constant rate or the peak of a cosine; a one-cycle peak may be
    several times higher.
    """
    if least >= most:
        raise UserError(f"--from {least:g} is not below --to {most:g}")
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: give a file that ends in .png")
    config = load_by_path(preset, overrides or [], runs_dir)
    place = devices.resolve(config.device, config.precision, config.threads)
    devices.apply(place)
    random_state.seed_everything(config.seed)
    with tempfile.TemporaryDirectory() as folder:
        experiment = load(find_kind(config.kind).build)(config, Path(folder) / "run", place)
        if not hasattr(experiment, "step"):
            raise UserError(f"experiments of kind {config.kind!r} cannot be told the learning rate of a step")
        found = sweep(lambda rate: experiment.step(rate).loss, least, most, steps)
    curve = figures.Curve("loss, smoothed", found.rates, found.losses)
    title = f"{preset}: " + (f"suggested {found.suggestion:.2g}" if found.suggestion else "no rate lowers the loss")
    save_png(out, figures.curves([curve], title, "learning rate", log_x=True, mark=found.suggestion))
    if as_json:
        print_json({"suggestion": found.suggestion, "rates": found.rates, "losses": found.losses, "picture": str(out)})
        return
    said = f"training.learning_rate={found.suggestion:.2g}" if found.suggestion else "no rate in this range lowers it"
    Console(highlight=False).print(f"{said} ({len(found.rates)} steps, curve in {out})", soft_wrap=True, markup=False)


def sweep(step: Callable[[float], Tensor], least: float, most: float, steps: int) -> Sweep:
    """Steps at rates that rise by a constant factor until the smoothed loss is four times its least."""
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for index in range(steps):
        rate = least * (most / least) ** (index / (steps - 1))
        mean = _SMOOTHING * mean + (1.0 - _SMOOTHING) * float(step(rate))
        smooth = mean / (1.0 - _SMOOTHING ** (index + 1))
        if not math.isfinite(smooth) or (index >= _LEAST_STEPS and smooth > _DIVERGED * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
    return Sweep(rates, losses, _steepest(rates, losses))


def _steepest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate where the loss falls fastest by step, before its least value."""
    if len(losses) < 3:
        return None
    low = losses.index(min(losses))
    slopes = [losses[i + 1] - losses[i - 1] for i in range(1, low)]
    if not slopes or min(slopes) >= 0:
        return None
    return rates[1 + slopes.index(min(slopes))]
