"""The arguments of the UCI commands `go` and `setoption`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

_NUMBERS = ("wtime", "btime", "winc", "binc", "movestogo", "depth", "nodes", "mate", "movetime")
_FLAGS = ("infinite", "ponder")
_WORDS = (*_NUMBERS, *_FLAGS, "searchmoves")
_LARGEST = 10**9  # of a number: milliseconds, simulations


@dataclass(frozen=True)
class GoArguments:
    """Limits of a search as the client gives them. numbers: by name; times in milliseconds, 0 or more."""

    numbers: dict[str, int] = field(default_factory=dict)
    infinite: bool = False
    ponder: bool = False
    moves: tuple[str, ...] = ()


def parse_go(words: Sequence[str]) -> tuple[GoArguments, list[str]]:
    """The arguments of `go`, and what in them is not understood. Those are left out."""
    numbers: dict[str, int] = {}
    flags = set[str]()
    moves, wrong = list[str](), list[str]()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in _FLAGS:
            flags.add(word)
        elif word == "searchmoves":
            while rest and rest[0] not in _WORDS:
                moves.append(rest.pop(0))
        elif word in _NUMBERS and rest and (number := whole(rest[0])) is not None:
            numbers[word] = max(number, 0)  # a clock may be overdrawn
            del rest[0]
        else:
            wrong.append(word)
    return GoArguments(numbers, "infinite" in flags, "ponder" in flags, tuple(moves)), wrong


def whole(text: str) -> int | None:
    """A whole number in plain digits, limited to a size that all arithmetic takes; None for another text."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        return None
    number = min(int(digits[:18]), _LARGEST) if len(digits) < 19 else _LARGEST
    return -number if text.startswith("-") else number


def parse_option(words: Sequence[str]) -> tuple[str, str]:
    """Name and value of `setoption name NAME [value VALUE]`; both may have spaces."""
    text = " ".join(words)
    name, _, value = text.removeprefix("name ").partition(" value ")
    if not value and name.endswith(" value"):
        name = name.removesuffix(" value")
    return name.strip(), value.strip()
