"""Random games of every option set, recorded ply by ply, for tests of rules; those of chess have a folder of their own."""

from functools import cache
from typing import Any

from agents import games
from agents.games.testing import CPU, Playout, random_playout

# Boards apart from each game's own: narrow, wide, odd, and lines that fit in one direction only.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "tic_tac_toe": [
        {"rows": 5, "columns": 5, "length": 4},
        {"rows": 2, "columns": 4, "length": 3},
        {"rows": 5, "columns": 1, "length": 2},
        {"rows": 4, "columns": 7, "length": 5},
    ],
    "connect_four": [
        {"rows": 4, "columns": 5, "length": 3},
        {"rows": 2, "columns": 5, "length": 4},
        {"rows": 7, "columns": 3, "length": 4},
        {"rows": 9, "columns": 10, "length": 5},
    ],
    "go": [{"size": 4, "komi": 0.5, "positions": 3}, {"size": 5, "ko": "simple", "max_plies": 40}],
}
LARGE = ("go",)
"""Games whose default board is too large for tests of all positions of random games."""
CASES: list[tuple[str, dict[str, Any]]] = [
    (name, options) for name in OPTIONS for options in [*([] if name in LARGE else [{}]), *OPTIONS[name]]
]
IDS = ["-".join([name, *map(str, options.values())]) for name, options in CASES]


@cache
def _play(name: str, options: tuple[tuple[str, Any], ...], batch: int) -> Playout:
    return random_playout(games.make(name, **dict(options)), batch)


def playout(name: str, options: dict[str, Any], batch: int = 64) -> Playout:
    """The same random games for every test that asks for them."""
    return _play(name, tuple(options.items()), batch)


__all__ = ["CASES", "CPU", "IDS", "OPTIONS", "Playout", "playout"]
