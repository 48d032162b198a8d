"""Solved positions in the package, for evaluation and never for training.

Those of the validation part are evaluated while training and choose the best checkpoint; those of the test part are
for `lab eval` alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

from agents.arena.positions import Positions, read
from agents.games.game import Game

VALIDATION, TEST = "validation", "test"


@dataclass(frozen=True)
class Shipped:
    """Files of `agents/data` with the positions of a game; test: "" for none. suits: whether a game's options fit."""

    validation: str
    test: str
    suits: Callable[[Game], bool]


SHIPPED = {
    "connect_four": Shipped(
        "connect_four_positions.csv", "", lambda game: game.options == {"rows": 6, "columns": 7, "length": 4}
    ),
    "othello": Shipped("othello_6x6_validation.csv", "othello_6x6_test.csv", lambda game: game.options == {"size": 6}),
    "hex": Shipped(
        "hex_5x5_validation.csv", "hex_5x5_test.csv", lambda game: game.options == {"size": 5, "swap": False}
    ),
    "chess": Shipped("chess_mates_validation.csv", "chess_mates_test.csv", lambda game: game.max_plies >= 3),
}

SETS = {
    "mate_in_one": "mates in one that are found, of the validation positions",
    "mate_in_two": "first moves of mates in two that are found, of the validation positions",
}
"""Sets of the shipped positions that have a metric of their own, with its meaning."""


def has_shipped(game: Game) -> bool:
    """Whether the package contains solved positions of this game."""
    return game.name in SHIPPED and SHIPPED[game.name].suits(game)


def shipped_parts(game: Game) -> list[str]:
    """The parts of the package's positions of this game."""
    if not has_shipped(game):
        return []
    return [VALIDATION, TEST] if SHIPPED[game.name].test else [VALIDATION]


def shipped(game: Game, part: str = VALIDATION) -> Positions:
    """The solved positions of a part, which the game has."""
    files = SHIPPED[game.name]
    name = files.test if part == TEST else files.validation
    with resources.as_file(resources.files("agents") / "data" / name) as path:
        return read(path, game)
