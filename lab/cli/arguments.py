"""Arguments and output that the verbs of `lab` share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.errors import UserError
from lab.run.lookup import RUNS_DIR_VARIABLE
from lab.terminal import records

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
    """Print one JSON object. Raises UserError that names a value which is NaN or infinite: JSON has no such numbers."""
    name = _non_finite(value)
    if name is not None:
        raise UserError(f"{name} is NaN or infinite, so no JSON is printed; have the run's weights diverged?")
    records.emit(value)


def _non_finite(value: Any, path: str = "") -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    found = (_non_finite(item, f"{path}.{key}" if path else str(key)) for key, item in items)
    return next((name for name in found if name is not None), None)
