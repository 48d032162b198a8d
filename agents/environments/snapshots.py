"""Saving the state of an environment without pickle, for exact resume.

Only environments whose state is known can be saved: Gymnasium's classic control and toy text, and any environment
with the methods `state_dict()` and `load_state_dict(state)` of plain values and arrays. Of the wrappers, those that
Gymnasium adds itself and those without a state are known. `save` answers None for anything else.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from agents.environments.faults import described, name_of
from agents.environments.unmasked import Unmasked

_log = logging.getLogger(__name__)

_ATTRIBUTES = {
    "CartPoleEnv": ("state", "steps_beyond_terminated"),
    "CartPoleVectorEnv": ("state", "steps", "prev_done", "low", "high", "steps_beyond_terminated"),
    "MountainCarEnv": ("state",),
    "Continuous_MountainCarEnv": ("state",),
    "PendulumEnv": ("state", "last_u"),
    "AcrobotEnv": ("state",),
    "TaxiEnv": ("s", "lastaction", "fickle_step", "taxi_orientation"),
    "FrozenLakeEnv": ("s", "lastaction"),
    "CliffWalkingEnv": ("s", "lastaction"),
    "BlackjackEnv": ("dealer", "player"),
}
"""Attributes that change with each step, by class of `gymnasium.envs`; the generator is saved too."""

_WRAPPERS = {
    "TimeLimit": ("_elapsed_steps",),
    "OrderEnforcing": ("_has_reset",),
    "PassiveEnvChecker": ("checked_reset", "checked_step", "checked_render"),
    "FlattenObservation": (),
    "FilterObservation": (),
    "RescaleAction": (),
    "RescaleObservation": (),
    "ClipAction": (),
    "ClipReward": (),
    "ReshapeObservation": (),
    "DtypeObservation": (),
    "TimeAwareObservation": ("timesteps",),
    "DelayObservation": ("observation_queue",),
    "FrameStackObservation": ("obs_queue",),
    "DiscretizeObservation": (),
    "DiscretizeAction": (),
    "RepeatAction": (),
    "StickyAction": ("last_action", "is_sticky_actions", "num_repeats", "repeats_taken"),
}
"""The state of wrappers of `gymnasium.wrappers`, by class."""


def save(env: Any) -> dict[str, Any] | None:
    """The state of an environment and its wrappers as plain values and arrays; None if `load` could not restore it."""
    wrappers: list[dict[str, Any]] = []
    while isinstance(env, gym.Wrapper):
        names = () if isinstance(env, Unmasked) else _known(env, _WRAPPERS, "gymnasium.wrappers")
        if names is None:
            return None
        wrappers.append(_attributes(env, names))
        env = env.env
    if hasattr(env, "state_dict") and hasattr(env, "load_state_dict"):
        own: Any = _own_state(env)
        if own is None:
            return None
    else:
        names = _known(env, _ATTRIBUTES, "gymnasium.envs")
        if names is None:
            return None
        own = _attributes(env, names)
    state = {"wrappers": wrappers, "own": own, "generator": env.np_random.bit_generator.state}
    return state if _can_be_loaded(state) else None


def load(env: Any, state: Mapping[str, Any]) -> None:
    """Put an environment, with the same wrappers, into a state from `save`.

    Raises ValueError for the state of another environment, and what the attributes raise for values that they never
    have.
    """
    own = save(env)
    if own is not None and hasattr(env.unwrapped, "load_state_dict"):
        own, checked = {**own, "own": None}, {**state, "own": None}  # its own method knows what fits
    else:
        checked = {**state}
    _check(own, checked)
    for stored in state["wrappers"]:
        for name, value in stored.items():
            setattr(env, name, _restored(value))
        env = env.env
    if hasattr(env, "load_state_dict"):
        env.load_state_dict(state["own"])
    else:
        for name, value in state["own"].items():
            setattr(env, name, _restored(value))
    env.np_random.bit_generator.state = state["generator"]


def _own_state(env: Any) -> dict[str, Any] | None:
    """What the environment's `state_dict` returns; None, said once, where it fails or a checkpoint cannot keep it."""
    try:
        state: Any = env.state_dict()
    except Exception as error:
        _say_once(f"state_dict of environment {name_of(env)} failed: {described(error)}")
        return None
    if not isinstance(state, dict) or not _is_plain(state):
        _say_once(f"state_dict of environment {name_of(env)} is no dict of plain values and arrays by name")
        return None
    return state


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, bool | int | float | str)


@functools.cache
def _say_once(what: str) -> None:
    _log.warning("%s: a resumed run begins new episodes", what)


def _can_be_loaded(state: Mapping[str, Any]) -> bool:
    """Whether wrappers and generator have values that `load` takes; an environment's own state is its own matter."""
    known = {**state, "own": None}
    try:
        _check(known, known)
    except ValueError:
        return False
    return True


def _check(own: Any, stored: Any) -> None:
    """Raise ValueError unless a stored state has the keys of an environment's own and values of the same kinds.

    A number may stand for None, which stands for what the first step sets, and numbers differ in precision.
    """
    own, stored = _restored(own), _restored(stored)
    if isinstance(own, Mapping):
        fits = isinstance(stored, Mapping) and set(own) == set(stored)
        pairs = [(own[name], stored[name]) for name in own] if fits else []
    elif isinstance(own, list) and any(isinstance(value, Mapping) for value in own):  # the wrappers
        fits = isinstance(stored, list) and len(own) == len(stored)
        pairs = list(zip(own, stored, strict=True)) if fits else []
    else:
        fits, pairs = _same_kind(own, stored), []
    if not fits:
        raise ValueError("the state is that of another environment")
    for one, other in pairs:
        _check(one, other)


def _same_kind(own: Any, stored: Any) -> bool:
    if own is None:
        return stored is None or _is_number(stored) or isinstance(stored, np.ndarray)
    if _is_number(own):
        if isinstance(own, int) and isinstance(stored, int) and not 0 <= stored < 2**128:
            return False
        return stored is None or (_is_number(stored) and _is_integer(stored) == _is_integer(own))
    if isinstance(own, np.ndarray | tuple):
        is_array = isinstance(stored, np.ndarray | tuple)
        return is_array and np.shape(own) == np.shape(stored) and np.asarray(stored).dtype.kind in "biuf"
    if isinstance(own, list | deque):
        return type(stored) is type(own) and all(_is_number(value) or isinstance(value, np.ndarray) for value in stored)
    return type(own) is type(stored)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) or isinstance(value, np.number)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer)


def _known(env: Any, table: Mapping[str, tuple[str, ...]], package: str) -> tuple[str, ...] | None:
    kind = type(env)
    return table.get(kind.__name__) if kind.__module__.startswith(package + ".") else None


def _attributes(env: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _plain(getattr(env, name)) for name in names if hasattr(env, name)}


def _plain(value: Any) -> Any:
    """A copy in values that a checkpoint keeps; what would come back as another type is tagged."""
    if isinstance(value, tuple):
        return {"tuple": [_plain(item) for item in value]}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, deque):
        return {"deque": [_plain(item) for item in value], "length": value.maxlen}
    if isinstance(value, np.generic):
        return {"scalar": np.array(value)}
    return value.copy() if isinstance(value, np.ndarray) else value


def _restored(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"tuple"}:
        return tuple(_restored(item) for item in value["tuple"])
    if isinstance(value, Mapping) and set(value) == {"scalar"}:
        return np.asarray(value["scalar"])[()]
    if isinstance(value, Mapping) and set(value) == {"deque", "length"}:
        return deque((_restored(item) for item in value["deque"]), value["length"])
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return np.array(value) if isinstance(value, np.ndarray) else value
