"""Random games of lines of every option set, recorded ply by ply, for tests of rules.

The tests of larger games, whose default options make long games, are in folders of their own.
"""

from functools import cache

from agents import games
from agents.games.testing import CPU, Playout, random_playout

# Boards apart from each game's own: narrow, wide, odd, and lines that fit in one direction only.
OPTIONS: dict[str, list[dict[str, int]]] = {
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
}
CASES = [(name, options) for name in OPTIONS for options in [{}, *OPTIONS[name]]]
IDS = ["-".join([name, *map(str, options.values())]) for name, options in CASES]


@cache
def _play(name: str, options: tuple[tuple[str, int], ...], batch: int) -> Playout:
    return random_playout(games.make(name, **dict(options)), batch)


def playout(name: str, options: dict[str, int], batch: int = 64) -> Playout:
    """The same random games for every test that asks for them."""
    return _play(name, tuple(options.items()), batch)


__all__ = ["CASES", "CPU", "IDS", "OPTIONS", "Playout", "playout"]
