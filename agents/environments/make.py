"""Environments by their Gymnasium id, with wrappers by name, and a clear line when one cannot be made."""

from __future__ import annotations

import contextlib
import importlib
import logging
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from pydantic import Field

from agents.environments import recall
from agents.environments.unmasked import Unmasked
from lab.config.sections import Config
from lab.config.suggestions import did_you_mean
from lab.errors import UserError

_PACKAGES = {"MinAtar": "minatar.gym", "ALE": "ale_py"}
"""Packages that register the environments of a namespace when they are asked to."""

_EXTRAS = {
    "gymnasium.envs.box2d": "box2d",
    "gymnasium.envs.mujoco": "mujoco",
    "minatar": "minatar",
    "ale_py": "atari",
    "gymnasium.envs.toy_text": "play",
}

_NOT_BY_NAME = {
    *("Autoreset", "vector"),
    *("RecordVideo", "HumanRendering", "RenderCollection", "AddRenderObservation"),
    *("TransformAction", "TransformObservation", "TransformReward"),
    *("ArrayConversion", "JaxToNumpy", "JaxToTorch", "NumpyToTorch"),
}
"""Names of `gymnasium.wrappers` that a configuration cannot give: resets and rendering belong to the lab, functions are
no plain values, and observations are arrays of numpy."""

Value = bool | int | float | str | list[int] | list[float]
"""An argument that a configuration can give to an environment or a wrapper."""


class WrapperConfig(Config):
    """A wrapper of `gymnasium.wrappers` and its arguments."""

    name: str = Field(description="Class of gymnasium.wrappers, such as FrameStackObservation.")
    kwargs: dict[str, Value] = Field(default_factory=dict, description="Arguments of the wrapper by name.")


class EnvironmentConfig(Config):
    """A Gymnasium environment."""

    id: str = Field(description="Registered id of the environment, such as CartPole-v1.")
    kwargs: dict[str, Value] = Field(default_factory=dict, description="Arguments of the environment by name.")
    wrappers: tuple[WrapperConfig, ...] = Field(
        default=(), description="Wrappers of gymnasium.wrappers around the environment, the innermost first."
    )
    masks: bool = Field(
        default=True, description="Use the environment's action masks where it gives them; false leaves them out."
    )


def maker(config: EnvironmentConfig) -> Callable[[], gym.Env[Any, Any]]:
    """A function that makes the environment, which another process can be given."""
    return partial(make, config)


def make(config: EnvironmentConfig, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """An environment with its wrappers. Raises UserError with one line: the cause and the fix."""
    spec = find(config.id)
    with _quiet(), _explained(spec, f"environment {config.id!r}"):
        arguments: dict[str, Any] = dict(config.kwargs)
        env: gym.Env[Any, Any] = gym.make(spec, render_mode=render_mode, **arguments)
    for wrapper in config.wrappers:
        kind = wrapper_class(wrapper.name)
        with _quiet(), _explained(spec, f"wrapper {wrapper.name}"):
            env = kind(env, **wrapper.kwargs)
    return env if config.masks else Unmasked(env)


def has_own_vectorization(config: EnvironmentConfig) -> bool:
    """Whether Gymnasium has a vectorised implementation of the environment that is equal to the single one."""
    return bool(find(config.id).vector_entry_point) and not config.wrappers and config.masks


def make_vector(config: EnvironmentConfig, count: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Gymnasium's own vectorised implementation of an environment."""
    spec = find(config.id)
    with _quiet(), _explained(spec, f"environment {config.id!r}"):
        mode = gym.VectorizeMode.VECTOR_ENTRY_POINT
        arguments: dict[str, Any] = dict(config.kwargs)
        return gym.make_vec(spec, num_envs=count, vectorization_mode=mode, **arguments)


def find(name: str) -> EnvSpec:
    """The registered environment of an id. Raises UserError that names the nearest ids, or the missing package."""
    if ":" in name:
        raise UserError(
            f"environment id {name!r} names a module, which a configuration cannot: install a package that registers "
            "its environments through the entry point gymnasium.envs, and leave out the part before the colon"
        )
    recall.register()
    namespace = name.rpartition("/")[0]
    if namespace in _PACKAGES and name not in gym.registry:
        _register(namespace)
    with _quiet():
        try:
            return gym.spec(name)
        except gym.error.Error:
            raise UserError(f"unknown environment {name!r}; {did_you_mean(name, sorted(gym.registry))}") from None


def wrapper_class(name: str) -> Any:
    """A wrapper of `gymnasium.wrappers` by its name. Raises UserError for another name."""
    known = [other for other in gym.wrappers.__all__ if other not in _NOT_BY_NAME]
    if name not in known:
        raise UserError(f"unknown wrapper {name!r}; {did_you_mean(name, known)}")
    return getattr(gym.wrappers, name)


def _register(namespace: str) -> None:
    package = _PACKAGES[namespace]
    try:
        with _quiet():
            module = importlib.import_module(package)
            if hasattr(module, "register_envs"):
                module.register_envs()
            else:
                gym.register_envs(module)
    except ImportError as error:
        extra = _EXTRAS[package.partition(".")[0]]
        raise UserError(f"{namespace} needs {error.name}: pip install 'rivals-lab[{extra}]'") from None


@contextlib.contextmanager
def _explained(spec: EnvSpec, what: str) -> Iterator[None]:
    """Turn what Gymnasium and an environment's constructor raise into one line."""
    try:
        yield
    except UserError:
        raise
    except (gym.error.DependencyNotInstalled, ImportError) as error:
        entry = str(spec.entry_point)
        extra = next((extra for package, extra in _EXTRAS.items() if entry.startswith(package)), None)
        hint = f": pip install 'rivals-lab[{extra}]'" if extra else f": {_one_line(error)}"
        raise UserError(f"{what} needs a package that is not installed{hint}") from None
    except (gym.error.Error, TypeError, ValueError, AssertionError, KeyError, AttributeError) as error:
        raise UserError(f"{what} cannot be made: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Gymnasium's warnings about versions and spaces, which say nothing about a run."""
    level = gym.logger.min_level
    root = logging.getLogger()
    before = root.level
    gym.logger.min_level = gym.logger.ERROR
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gym.logger.min_level = level
        root.setLevel(before)
