"""`lab approximate`: one hidden layer at several widths, and how its error falls (Cybenko 1989; Hornik 1991)."""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from lab.cli.arguments import Json, Overrides, RunsDir, print_json
from lab.errors import UserError
from lab.plots import figures
from lab.plots.images import save_png
from lab.run.lookup import RUNS_DIR
from lab.run.named_runs import load_by_path
from lab.supervised.config import SupervisedConfig
from lab.supervised.experiment import Supervised
from lab.supervised.tasks import answers
from lab.train import device as devices
from lab.train import random_state

_WIDTHS = "1,2,4,8,16,32,64"


def approximate(
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET", help="supervised/approximation, or another regression by an mlp.", show_default=False
        ),
    ],
    overrides: Overrides = None,
    widths: Annotated[str, typer.Option(help="Of the one hidden layer, one training each.")] = _WIDTHS,
    out: Annotated[Path, typer.Option(help="FILE.png: error against width, and beside it FILE_fits.png.")] = Path(
        "widths.png"
    ),
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Train a network of one hidden layer at several widths and plot its error against the width.

    It leaves no runs behind; `lab train` with network.hidden=[WIDTH] keeps one.
    """
    sizes = _sizes(widths)
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: give a file that ends in .png")
    errors: list[float] = []
    fits: list[figures.Curve] = []
    whole = load_by_path(preset, overrides or [], runs_dir)  # before a width, which other kinds would not understand
    if not isinstance(whole, SupervisedConfig) or (whole.task.name, whole.network.name) != ("regression", "mlp"):
        raise UserError(f"{preset} is no preset of task.name=regression with network.name=mlp")
    for width in sizes:
        network = whole.network.model_copy(update={"hidden": (width,)})
        experiment, error = _train(whole.model_copy(update={"network": network}))
        errors.append(error)
        if not as_json:
            Console(highlight=False).print(f"width {width}: rmse {error:.4g}", soft_wrap=True)
        fits += _fit(experiment, width, with_target=not fits)
    curve = figures.Curve("rmse of the test set", [float(size) for size in sizes], errors)
    title = f"{preset}: one hidden layer"
    save_png(out, figures.curves([curve], title, "width of the hidden layer", log_x=True, log_y=True))
    if fits:
        save_png(out.with_name(f"{out.stem}_fits.png"), figures.curves(fits, title, "x"))
    if as_json:
        print_json({"widths": sizes, "rmse": errors, "picture": str(out)})


def _train(config: SupervisedConfig) -> tuple[Supervised, float]:
    place = devices.resolve(config.device, config.precision, config.threads)
    devices.apply(place)
    random_state.seed_everything(config.seed)
    with tempfile.TemporaryDirectory() as folder:
        experiment = Supervised(config, Path(folder) / "run", place)
        while experiment.counters["images"] < config.budget:
            experiment.iterate()
        return experiment, experiment.evaluate().metrics["eval/rmse"]


def _fit(experiment: Supervised, width: int, *, with_target: bool) -> list[figures.Curve]:
    """The function that the network has become, if it is one of one number."""
    test = experiment.test
    if test.inputs.shape[1] != 1:
        return []
    order = np.argsort(test.inputs[:, 0])
    x = test.inputs[order, 0].tolist()
    found = answers(experiment.network, test, experiment.device)
    target = [figures.Curve("target", x, test.targets[order].tolist())] if with_target else []
    return [*target, figures.Curve(str(width), x, found[order].tolist())]


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise UserError(f"--widths {text}: give whole numbers from 1, as in {_WIDTHS}")
    return sizes
