"""Games by name: those of this package, and those that other packages register by entry point."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from agents.games.breakthrough import Breakthrough
from agents.games.chess import chess
from agents.games.connect_four import connect_four
from agents.games.game import Game
from agents.games.go import Go
from agents.games.gomoku import Gomoku
from agents.games.hex import Hex
from agents.games.othello import Othello
from agents.games.tic_tac_toe import tic_tac_toe
from lab.config.suggestions import did_you_mean, shortened
from lab.errors import UserError

ENTRY_POINTS = "rivals.games"
"""Group of entry points: the game's name -> a factory that takes the game's options and returns a `Game`."""

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)

GAMES: dict[str, Callable[..., Game]] = {
    "tic_tac_toe": tic_tac_toe,
    "connect_four": connect_four,
    "gomoku": Gomoku,
    "breakthrough": Breakthrough,
    "chess": chess,
    "go": Go,
    "othello": Othello,
    "hex": Hex,
}


DOORS = {"pettingzoo": "agents.pettingzoo.game:PettingZooGame"}
"""Games whose rules come from elsewhere, imported on use. Without options they are none, so they are not in `GAMES`."""


def game_names() -> list[str]:
    """Names of all games with rules of their own: built-in ones first, then those of installed packages."""
    return list(dict.fromkeys([*GAMES, *sorted(metadata.entry_points(group=ENTRY_POINTS).names)]))


def make(name: str, **options: Any) -> Game:
    """The game `name` with its options, for example `make("connect_four", rows=5)`.

    Raises UserError for unknown names and options, and for an entry point that cannot be loaded.
    """
    factory = GAMES.get(name) or _door(name) or _installed(name)
    known = dict(_parameters(factory))
    # A door takes any further option and hands it on.
    rest = next(
        (known.pop(option) for option in list(known) if known[option].kind is inspect.Parameter.VAR_KEYWORD), None
    )
    for option in options:
        if option not in known and rest is None:
            raise UserError(f"{name} has no option {option!r}; its options are: {', '.join(known) or 'none'}")
    missing = [option for option, found in known.items() if found.default is found.empty and option not in options]
    if missing:
        raise UserError(f"{name} needs the option {missing[0]}; set game.options.{missing[0]}")
    return factory(
        **{option: _checked(name, option, known.get(option, rest), value) for option, value in options.items()}
    )


def _parameters(factory: Callable[..., Game]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory, eval_str=True).parameters
    except NameError:  # annotations that exist for type checkers only stay text
        return inspect.signature(factory).parameters


def _checked(name: str, option: str, parameter: inspect.Parameter | None, value: Any) -> Any:
    """The value of an option, which must have the annotated type; a whole number is also a float."""
    assert parameter is not None
    kind = parameter.annotation
    if kind is inspect.Parameter.empty or isinstance(kind, str):
        return value
    try:
        return TypeAdapter(kind, config=_STRICT).validate_python(value)
    except PydanticSchemaGenerationError:  # a type of another package, which checks its options itself
        return value
    except ValidationError:
        shown = kind.__name__ if isinstance(kind, type) else inspect.formatannotation(kind)
        raise UserError(f"{name}: option {option} must be {shown}, not {shortened(value)}") from None


def _door(name: str) -> Callable[..., Game] | None:
    if name not in DOORS:
        return None
    module, _, attribute = DOORS[name].partition(":")
    made: Callable[..., Game] = getattr(importlib.import_module(module), attribute)
    return made


def _installed(name: str) -> Callable[..., Game]:
    found = next(iter(metadata.entry_points(group=ENTRY_POINTS, name=name)), None)
    if found is None:
        raise UserError(f"unknown game {name!r}; {did_you_mean(name, [*game_names(), *DOORS])}")
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
