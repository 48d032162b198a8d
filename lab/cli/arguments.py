"""Arguments and output that the verbs of `lab` share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.run.lookup import RUNS_DIR_VARIABLE
from lab.terminal import records
from lab.terminal.streams import say as say

Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's name in the runs directory, or its path.", show_default=False),
]
RunsDir = Annotated[Path, typer.Option("--runs-dir", envvar=RUNS_DIR_VARIABLE, help="Directory of the runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Settings, as in search.simulations=64.", show_default=False),
]


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object. Raises ValueError for NaN and infinities, which JSON lacks."""
    records.emit(value)
