"""Games by name: those of this package, and those that other packages register by entry point."""

import inspect
from collections.abc import Callable
from importlib import metadata
from typing import Any

from agents.games.connect_four import connect_four
from agents.games.game import Game
from agents.games.tic_tac_toe import tic_tac_toe
from lab.config.suggestions import did_you_mean
from lab.errors import UserError

ENTRY_POINTS = "rivals.games"
"""Group of entry points: the game's name -> a factory that takes the game's options and returns a `Game`."""

GAMES: dict[str, Callable[..., Game]] = {"tic_tac_toe": tic_tac_toe, "connect_four": connect_four}


def game_names() -> list[str]:
    """Names of all games: built-in ones first, then those of installed packages."""
    return list(dict.fromkeys([*GAMES, *sorted(metadata.entry_points(group=ENTRY_POINTS).names)]))


def make(name: str, **options: Any) -> Game:
    """The game `name` with its options, for example `make("connect_four", rows=5)`.

    Raises UserError for unknown names and options, and for an entry point that cannot be loaded.
    """
    factory = GAMES.get(name) or _installed(name)
    known = inspect.signature(factory).parameters
    for option, value in options.items():
        if option not in known:
            raise UserError(f"{name} has no option {option!r}; its options are: {', '.join(known) or 'none'}")
        kind = known[option].annotation
        if kind in (bool, int, str) and type(value) is not kind:
            raise UserError(f"{name}: option {option} must be {kind.__name__}, not {value!r}")
    return factory(**options)


def _installed(name: str) -> Callable[..., Game]:
    found = next(iter(metadata.entry_points(group=ENTRY_POINTS, name=name)), None)
    if found is None:
        raise UserError(f"unknown game {name!r}; {did_you_mean(name, game_names())}")
    try:
        factory = found.load()
    except Exception as error:  # whatever the other package raises on import
        raise UserError(
            f"game {name!r}: its entry point {found.value!r} cannot be imported ({type(error).__name__}: {error}); "
            "repair or reinstall that package"
        ) from error
    if not callable(factory):
        raise UserError(f"game {name!r}: its entry point {found.value!r} is not a function or class that makes a game")
    made: Callable[..., Game] = factory
    return made
