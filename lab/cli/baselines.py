"""`lab eval --baselines`: methods without the network beside a run, on the same training and test sets."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lab.terminal.streams import say

Baselines = Annotated[
    bool, typer.Option("--baselines", help="Also fit simple methods to the same training set, and test them.")
]


def baselines_record(found: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The part of a record of `--json`, nothing without baselines."""
    short = {name: {key.removeprefix("eval/"): value for key, value in row.items()} for name, row in found.items()}
    return {"baselines": short} if short else {}


def say_baselines(own: Mapping[str, float], found: Mapping[str, Mapping[str, float]]) -> None:
    """A line for the network and for each baseline, with the metrics that all of them have."""
    if not found:
        return
    names = [name for name in own if all(name in row for row in found.values())]
    widths = [max(10, len(name.removeprefix("eval/"))) for name in names]
    first = max(len("network"), *map(len, found))
    heads = (name.removeprefix("eval/").rjust(width) for name, width in zip(names, widths, strict=True))
    say("  ".join(["".ljust(first), *heads]))
    for title, row in {"network": own, **found}.items():
        cells = (f"{row[name]:.4g}".rjust(width) for name, width in zip(names, widths, strict=True))
        say("  ".join([title.ljust(first), *cells]))
