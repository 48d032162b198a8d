"""`lab capacity`: print what AlphaZero on a number of GPUs needs, and its bottleneck."""

from dataclasses import asdict
from typing import Annotated

import typer

from cluster.capacity import GPUS, from_preset, needs, sources, table
from lab.cli.arguments import Json, Overrides, print_json
from lab.config.presets import parse_overrides
from lab.terminal.streams import say

_PRESET = "alphazero/connect_four"


def capacity(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="An AlphaZero preset.")] = _PRESET,
    figures: Overrides = None,
    gpus: Annotated[
        list[int] | None, typer.Option(help="Total number of GPUs; repeatable.", show_default="8, 64, 512")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute network traffic, replay memory and learners for a number of GPUs, and name the bottleneck.

    Figures are given as in evaluations_per_s=400000; the others are computed from the preset or assumed.
    """
    if "=" in preset:
        preset, figures = _PRESET, [preset, *(figures or [])]
    changes = parse_overrides(figures or [])
    known = from_preset(preset, changes)
    results = [needs(known, count) for count in gpus or GPUS]
    if as_json:
        print_json({"figures": known.model_dump(), "needs": [asdict(result) for result in results]})
        return
    say(sources(known, changes))
    say()
    say(table(results))
