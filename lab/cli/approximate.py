"""`lab approximate`: train one hidden layer at several widths and plot its error."""

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
from lab.supervised.config import SupervisedConfig
from lab.supervised.width_study import WidthResult, train_at_width
from lab.terminal.streams import say

_WIDTHS = "1,2,4,8,16,32,64"


def approximate(
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET",
            help="supervised/approximation, or another regression preset with an mlp.",
            show_default=False,
        ),
    ],
    overrides: Overrides = None,
    widths: Annotated[str, typer.Option(help="Widths of the hidden layer; one network is trained for each.")] = _WIDTHS,
    out: Annotated[
        Path, typer.Option(help="FILE.png: error against width; the fitted curves go to FILE_fits.png.")
    ] = Path("widths.png"),
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Train a network of one hidden layer at several widths and plot its error against the width.

    No run is kept; `lab train` with network.hidden=[WIDTH] makes one.
    """
    sizes = _sizes(widths)
    check_suffix_of("--out", out, (".png",))
    config = load_by_path(preset, overrides or [], runs_dir)
    if not isinstance(config, SupervisedConfig) or (config.task.name, config.network.name) != ("regression", "mlp"):
        raise UserError(f"{preset} is not a preset with task.name=regression and network.name=mlp")
    results: list[WidthResult] = []
    for width in sizes:
        results.append(train_at_width(config, width))
        if not as_json:
            say(f"width {width}: rmse {results[-1].rmse:.4g}")
    errors = [result.rmse for result in results]
    curve = Curve("test set", [float(size) for size in sizes], errors)
    title = f"{preset}: one hidden layer"
    save_png(out, plot(Plot([curve], title, "width of the hidden layer", "RMSE", log_x=True, log_y=True)))
    fits = [result.fit for result in results if result.fit is not None]
    if results[0].target is not None:
        shown = Plot([results[0].target, *fits], f"{title}, by width", "x", "target")
        save_png(out.with_name(f"{out.stem}_fits.png"), plot(shown))
    if as_json:
        print_json({"widths": sizes, "rmse": errors, "figure": str(out)})


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise UserError(f"--widths {text}: give whole numbers from 1, as in {_WIDTHS}")
    return sizes
