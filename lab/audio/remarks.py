"""Remarks on many recordings in a few lines."""

import re
from collections.abc import Mapping, Sequence

_SHOWN = 5  # recordings named for a remark


def grouped(remarks: Mapping[str, Sequence[str]]) -> list[str]:
    """Remarks by recording -> one line for each kind of remark, with the recordings it is about.

    Remarks that differ in their figures alone are one kind; the figures shown are those of the first.
    """
    names: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for name, lines in remarks.items():
        for line in lines:
            kind = re.sub(r"[\d.]+", "", line)
            first.setdefault(kind, line)
            names.setdefault(kind, []).append(name)
    return [
        f"{_count(len(which))}: {first[kind]} ({', '.join(which[:_SHOWN])}{', ...' if len(which) > _SHOWN else ''})"
        for kind, which in names.items()
    ]


def _count(number: int) -> str:
    return "1 recording" if number == 1 else f"{number:,} recordings"
