"""Every registered game with options that make its games short, for tests of what all games share."""

from typing import Any

import pytest

from agents.games import GAMES, Game, make

OPTIONS: dict[str, dict[str, Any]] = {
    "othello": {"size": 4},
    "hex": {"size": 3},
    "gomoku": {"size": 5},
    "breakthrough": {"rows": 4, "columns": 4},
    "chess": {"max_plies": 10},
    "go": {"size": 4, "max_plies": 12},
}


def small(name: str) -> Game:
    """The game with its small options; its own defaults where none are listed."""
    return make(name, **OPTIONS.get(name, {}))


every_small_game = pytest.mark.parametrize("name", GAMES)
