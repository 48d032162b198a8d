"""Calls of an environment. What it raises becomes one line: the environment, the call, the reason, and where."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import UserError

_log = logging.getLogger(__name__)
_LONGEST = 300


class EnvironmentFailed(UserError):
    """An environment raised: begun anew, in another process, it may go on."""


def begin(env: Any, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Mapping[str, Any]]:
    """Reset an environment, a vector environment or a parallel one; returns observations and info.

    Raises UserError for whatever the environment raises.
    """
    try:
        found: Any = env.reset(seed=seed) if options is None else env.reset(seed=seed, options=options)
    except (Exception, SystemExit) as error:
        raise failed(env, "reset", error) from error
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict | Mapping)):
        raise UserError(
            f"environment {name_of(env)}: reset returned {_described(found)} where the interface is (observation, dict)"
        )
    return found[0], found[1]


def advance(env: Any, action: Any) -> tuple[Any, Any, Any, Any, Mapping[str, Any]]:
    """Step an environment, a vector environment or a parallel one.

    Raises UserError for whatever the environment raises.
    """
    try:
        found: Any = env.step(action)
    except (Exception, SystemExit) as error:
        raise failed(env, "step", error) from error
    if not (isinstance(found, tuple) and len(found) == 5 and isinstance(found[4], dict | Mapping)):
        raise UserError(
            f"environment {name_of(env)}: step returned {_described(found)} where the interface is (observation, "
            "reward, terminated, truncated, dict)"
        )
    observation, reward, terminated, truncated, info = found
    return observation, reward, terminated, truncated, info


def one_line(error: BaseException) -> str:
    """The message of an error on one line, shortened."""
    return " ".join(str(error).split())[:_LONGEST]


def described(error: BaseException) -> str:
    """Type and message of an error on one line, and the line of code that raised it; the text of a user error."""
    if isinstance(error, UserError):
        return one_line(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {one_line(error) or 'no message'}{where}"


def close(env: Any) -> None:
    """Close an environment; what it raises then is no reason to end a run, and is logged."""
    try:
        env.close()
    except Exception as error:
        _log.warning("environment %s failed in close: %s", name_of(env), described(error))


def name_of(env: Any) -> str:
    """The id of an environment, PettingZoo's name for it, or its class where it has neither."""
    spec, metadata = getattr(env, "spec", None), getattr(env, "metadata", None) or {}
    return str(getattr(spec, "id", None) or metadata.get("name") or type(getattr(env, "unwrapped", env)).__name__)


def failed(env: Any, call: str, error: BaseException) -> EnvironmentFailed:
    """The user error for an exception of `env` in `call`; a user error that names no environment gets its name."""
    return EnvironmentFailed(f"environment {name_of(env)} failed in {call}: {described(error)}")


def _described(found: Any) -> str:
    """What a call returned, for an error: its type, and of a tuple the types of its values."""
    if not isinstance(found, tuple):
        return f"one {type(found).__name__}"
    return f"({', '.join(type(value).__name__ for value in found[:8])}{', ...' if len(found) > 8 else ''})"
