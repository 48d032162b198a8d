"""Turn-based environments by name, without the wrappers that only guard against wrong use."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from agents.environments.faults import described, one_line
from agents.environments.make import PARALLEL_PREFIX
from agents.environments.pettingzoo_modules import Source, find
from agents.environments.quiet import quiet
from lab.errors import UserError

ENTRY_POINTS = "rivals.turn_based_environments"
"""Group of entry points: a name without a dot -> a function that makes a turn-based (AEC) environment."""
OPEN_SPIEL = "openspiel:"
"""Begins the names of OpenSpiel's games, which Shimmy makes environments of: "openspiel:breakthrough(rows=6)"."""

_SOURCE = Source(
    kind="turn-based",
    attribute="env",
    packages=("pettingzoo", "gobblet_rl", "cathedral_rl"),
    group=ENTRY_POINTS,
    example="pettingzoo.classic.connect_four_v3",
    prefix="",
    lacks="its agents move at the same time (simultaneous moves), or it is no environment",
)

_GUARDS = {"OrderEnforcingWrapper", "AssertOutOfBoundsWrapper", "TerminateIllegalWrapper", "ClipOutOfBoundsWrapper"}
"""Wrappers of PettingZoo that change nothing of a game of legal moves."""

Make = Callable[..., Any]
"""Makes an environment; takes `render_mode` by keyword. Other processes are given it, so it can be imported there."""


@dataclass(frozen=True)
class EnvironmentName:
    """An environment and the arguments that it is made with."""

    env: str
    arguments: tuple[tuple[str, Any], ...] = ()

    @property
    def module(self) -> str:
        """The name of the module, written with dots: "pettingzoo.classic:connect_four_v3" has a colon."""
        name = self.env.removeprefix(PARALLEL_PREFIX)
        return name if name.startswith(OPEN_SPIEL) else name.replace(":", ".")

    def maker(self) -> Make:
        """The function that makes the environment. Raises UserError with one line: the cause and the fix."""
        for reserved in {"render_mode"} & {name for name, _ in self.arguments}:
            raise UserError(f"game.options.{reserved} is set by the lab; leave it out")
        if self.module.startswith(OPEN_SPIEL):
            return partial(_open_spiel, self.module.removeprefix(OPEN_SPIEL), **dict(self.arguments))
        return partial(_make, self.module, self.arguments)


def guarded(env: Any) -> Any:
    """An environment without the outer wrappers that only guard against wrong use."""
    while type(env).__name__ in _GUARDS and type(env).__module__.startswith("pettingzoo.utils."):
        env = env.env
    return env


def _make(module: str, arguments: tuple[tuple[str, Any], ...], *, render_mode: str | None = None) -> Any:
    with _agent_selector_of_old():
        factory = find(module, _SOURCE)
    given = dict(arguments) | ({"render_mode": render_mode} if render_mode else {})
    try:
        with quiet():
            return guarded(factory(**given))
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"environment {module} needs a package that is not installed: {one_line(error)}") from None
    except Exception as error:
        raise UserError(f"environment {module} cannot be made: {described(error)}") from error


@contextmanager
def _agent_selector_of_old() -> Iterator[None]:
    """Let `from pettingzoo.utils import agent_selector` find the class, as it did before PettingZoo 1.25.

    Today it finds the module, and packages that were not changed since fail when they call it.
    """
    import pettingzoo.utils
    from pettingzoo.utils.agent_selector import AgentSelector

    today = getattr(pettingzoo.utils, "agent_selector", None)
    pettingzoo.utils.agent_selector = AgentSelector
    try:
        yield
    finally:
        pettingzoo.utils.agent_selector = today


def _open_spiel(game: str, *, render_mode: str | None = None, **arguments: Any) -> Any:
    """A game of OpenSpiel through Shimmy; its own text is printed and cannot be had, so `render_mode` has no effect.

    Shimmy loads the game anew at every reset, by its name and the parameters that it was given apart from the game.
    """
    for package in ("pyspiel", "shimmy"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"environment {OPEN_SPIEL}{game} needs {package}: pip install 'rivals-lab[openspiel]'")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pyspiel

    wrapper = importlib.import_module("shimmy.openspiel_compatibility").OpenSpielCompatibilityV0
    try:
        with quiet():
            loaded = pyspiel.load_game(game, arguments) if arguments else pyspiel.load_game(game)
            return wrapper(game_name=loaded.get_type().short_name, config=loaded.get_parameters() or None)
    except Exception as error:
        raise UserError(f"environment {OPEN_SPIEL}{game} cannot be made: {described(error)}") from error
