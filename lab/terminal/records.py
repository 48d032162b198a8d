"""Records of commands: printed as JSON for programs, or handed over as values to a caller in the same process."""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from lab.terminal.streams import say

_wanted: ContextVar[list[dict[str, Any]] | None] = ContextVar("records wanted by a caller", default=None)


def emit(record: Mapping[str, Any]) -> None:
    """Print a record as one JSON object, or hand it to the caller that asked by `collected`.

    Raises ValueError for NaN and infinities, which JSON lacks.
    """
    text = json.dumps(record, indent=2, allow_nan=False)
    wanted = _wanted.get()
    if wanted is None:
        say(text)
    else:
        wanted.append(copy.deepcopy(dict(record)))


@contextmanager
def collected() -> Iterator[list[dict[str, Any]]]:
    """The records of the commands that run inside, in this thread; nothing of them is printed."""
    found: list[dict[str, Any]] = []
    token = _wanted.set(found)
    try:
        yield found
    finally:
        _wanted.reset(token)
