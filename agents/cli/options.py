"""Options and output that several verbs share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from agents.arena.analysis import MAX_SIMULATIONS
from lab.terminal import consoles

Simulations = Annotated[
    int, typer.Option("--simulations", min=0, max=MAX_SIMULATIONS, help="Simulations per move; 0 is the network alone.")
]


@contextmanager
def progress_bar(what: str, total: int, hidden: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error that disappears at the end; yields the function that advances it."""
    with consoles.progress_bar(hidden=hidden) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
