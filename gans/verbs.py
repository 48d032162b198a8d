"""Checks and output that the verbs of every kind of GAN share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from lab.cli.arguments import print_json
from lab.cli.options import check_absent, check_suffix_of
from lab.run.metrics import Catalogue
from lab.terminal.consoles import Console
from lab.terminal.streams import say

_BETTER = {None: "near the floor", False: "lower", True: "higher"}


def check_output(option: str, path: Path, suffixes: tuple[str, ...], overwrite: bool) -> None:
    """Raise UserError for a file that cannot be written or would be lost; call it before anything is loaded."""
    check_suffix_of(option, path, suffixes)
    check_absent(path, overwrite)


def print_evaluation(
    heading: str, found: Mapping[str, float], catalogue: Catalogue, *, record: Mapping[str, Any] | None
) -> None:
    """Print metrics eval/NAME beside eval/NAME_floor, the same metrics of real samples.

    A table below `heading`, with the better direction of each metric; with a `record`, one JSON object of it and the
    metrics instead.
    """
    if record is not None:
        print_json({**record, **found})
        return
    say(heading)
    table = Table()
    for column in ("metric", "samples", "floor", "better"):
        table.add_column(column, justify="left" if column in ("metric", "better") else "right")
    for name, value in found.items():
        if not name.endswith("_floor"):
            better = _BETTER[catalogue[name].higher_is_better]
            table.add_row(name.removeprefix("eval/"), f"{value:.4g}", f"{found[name + '_floor']:.4g}", better)
    Console().print(table)
    say("floor: what real samples reach; a generator that equals the data comes close to it")
