"""The rules of an environment: its check, its planes and its limits, found once in a process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from agents.environments.turns.encoding import PlaneEncoder
from agents.environments.turns.fidelity import check
from agents.environments.turns.make import EnvironmentName, Make
from agents.environments.turns.pool import StepperPool
from agents.environments.turns.stepper import Rules
from lab.errors import UserError

CHECK_TIMEOUT_S = 600.0
_MOST_PLIES = 4096
_FEW_ACTIONS = 256
"""Up to this many actions all can be legal at once; beyond it there are this many slots, or twice those that were."""


@cache
def rules_of(name: EnvironmentName, seed: int, max_plies: int | None, num_slots: int | None) -> Rules:
    """The rules of an environment by name, after `check`. Raises UserError as it does."""
    return found_rules(name.maker(), seed=seed, max_plies=max_plies, num_slots=num_slots)


def found_rules(
    make: Make,
    *,
    seed: int = 0,
    max_plies: int | None = None,
    num_slots: int | None = None,
    limit_s: float = CHECK_TIMEOUT_S,
) -> Rules:
    """The rules of an environment, after `check`. Raises UserError as it does.

    max_plies: by default those after which the environment truncates games, else twice those of the longest random
    game.
    num_slots: by default all actions where there are few. limit_s: time for the check.
    """
    profile, lines = _within(limit_s, lambda: check(make, seed=seed))
    positions = [position for line in lines for position in line.positions]
    observations = [seen for position in positions for seen in position.observations]
    env = make()
    try:
        encoder = PlaneEncoder(env.observation_space(profile.agents.names[0]), observations)
    except UserError as error:
        raise UserError(f"environment {profile.name}: {error}") from None
    if max_plies is None:
        max_plies = profile.limit or min(_MOST_PLIES, 2 * profile.longest)
    actions = profile.agents.actions
    if num_slots is None:
        num_slots = min(actions, max(_FEW_ACTIONS, 2 * profile.most_legal))
    return Rules(make, profile, encoder, max_plies, min(num_slots, actions))


@cache
def pool_of(rules: Rules, processes: int) -> StepperPool:
    """The processes of some rules, which all games of this process share."""
    return StepperPool(rules, processes)


Found = TypeVar("Found")


def _within(limit_s: float, function: Callable[[], Found]) -> Found:
    """What a function returns or raises. Raises UserError if it takes too long; its thread ends with the process."""
    results: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def call() -> None:
        try:
            results.put((True, function()))
        except BaseException as error:
            results.put((False, error))

    threading.Thread(target=call, daemon=True).start()
    try:
        done, value = results.get(timeout=limit_s)
    except queue.Empty:
        raise UserError(f"an environment could not be checked within {limit_s:g} s: it hangs, or is too slow") from None
    if not done:
        raise value
    found: Found = value
    return found
