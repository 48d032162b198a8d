"""A milestone's random numbers: all of them follow from its seed, and the caller's generators stay as they were."""

from collections.abc import Callable
from functools import wraps

from lab.milestones.report import Report
from lab.train.random_state import preserved, seed_everything

Line = Callable[[str], None]
Run = Callable[[int, Line], Report]


def seeded(run: Run) -> Run:
    """The same run with the global generators seeded at its start and restored at its end."""

    @wraps(run)
    def wrapped(seed: int, line: Line) -> Report:
        with preserved():
            seed_everything(seed)
            return run(seed, line)

    return wrapped
