"""Environments of other packages, registered through entry points."""

from functools import cache
from importlib import metadata

from agents.environments.faults import one_line
from lab.errors import UserError

ENTRY_POINTS = "rivals.environments"
"""Group of entry points: any name -> a function without arguments that calls `gymnasium.register`."""


@cache
def register_installed() -> None:
    """Call every entry point of the group, once. Raises UserError for one that cannot be loaded or raises."""
    for point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            point.load()()
        except Exception as error:  # whatever the other package raises
            raise UserError(
                f"the environments of {point.name!r} cannot be registered: its entry point {point.value!r} raised "
                f"{type(error).__name__}: {one_line(error)}; repair or reinstall that package"
            ) from error
