"""Games as batched tensors, by name."""

import inspect
from collections.abc import Callable

from agents.games.connect_four import connect_four
from agents.games.game import Game, Symmetries, concatenate, select, where
from agents.games.tic_tac_toe import tic_tac_toe
from lab.config.suggestions import did_you_mean
from lab.errors import UserError

GAMES: dict[str, Callable[..., Game]] = {"tic_tac_toe": tic_tac_toe, "connect_four": connect_four}


def make(name: str, **options: int) -> Game:
    """The game `name` with its options, for example `make("connect_four", rows=5)`."""
    if name not in GAMES:
        raise UserError(f"unknown game {name!r}; {did_you_mean(name, GAMES)}")
    known = inspect.signature(GAMES[name]).parameters
    for option in options:
        if option not in known:
            raise UserError(f"{name} has no option {option!r}; its options are: {', '.join(known)}")
    return GAMES[name](**options)


__all__ = ["GAMES", "Game", "Symmetries", "concatenate", "make", "select", "where"]
