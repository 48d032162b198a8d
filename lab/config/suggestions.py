"""The nearest known name to a misspelt one, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 200  # characters of a name; a comparison costs their square
_SHOWN = 16


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None without a close match."""
    if len(name) > _LONGEST:
        return None
    by_lower = {other.lower(): other for other in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def shortened(value: object, most: int = 100) -> str:
    """A value as a message shows it: its repr in one line, cut in the middle where it is long."""
    try:
        text = repr(value)
        if "\n" in text:  # of a tensor or an array
            text = " ".join(text.split())
    except (ValueError, RecursionError):  # integers of thousands of digits have no decimal text
        return f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= most else f"{text[: most - 20]} ... {text[-12:]}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End of a message: the nearest known name, else all of them."""
    known = sorted(set(known))
    match = nearest(name, known)
    if match is not None:
        return f"did you mean {match!r}?"
    more = f", ... ({len(known)} in all)" if len(known) > _SHOWN else ""
    return f"known: {', '.join(known[:_SHOWN])}{more}" if known else "there are none"
