"""The nearest known name to a misspelt one, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None without a close match."""
    by_lower = {other.lower(): other for other in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End of a message: the nearest known name, else all of them."""
    known = sorted(set(known))
    match = nearest(name, known)
    if match is not None:
        return f"did you mean {match!r}?"
    return f"known: {', '.join(known)}" if known else "there are none"
