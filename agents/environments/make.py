"""Environments by their Gymnasium id, with wrappers by name, and a clear line when one cannot be made."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from pydantic import Field, field_validator

from agents.environments import recall
from agents.environments.faults import close, described, one_line
from agents.environments.installed import ENTRY_POINTS, register_installed
from agents.environments.quiet import quiet, tame
from agents.environments.unmasked import Unmasked
from lab.config.sections import Config
from lab.config.suggestions import did_you_mean
from lab.errors import UserError

PARALLEL_PREFIX = "pettingzoo:"
"""Begins the ids of parallel environments: "pettingzoo:mpe2.simple_spread_v3"."""

_PACKAGES = {"MinAtar": "minatar.gym", "ALE": "ale_py"}
"""Packages that register the environments of a namespace when they are asked to."""

_EXTRAS = {
    "Box2D": "box2d",
    "mujoco": "mujoco",
    "minatar": "minatar",
    "ale_py": "atari",
    "cv2": "atari",
    "pygame": "window",
}
"""The extra of this project that installs a package, by the name under which it is imported."""

_NEEDS = {
    "gymnasium.envs.box2d": ("Box2D", "pygame"),
    "gymnasium.envs.mujoco": ("mujoco",),
    "gymnasium.wrappers": ("cv2",),
}
"""Packages that environments and wrappers need, by the beginning of their module's name."""

_RESERVED = {"id", "render_mode", "disable_env_checker", "num_envs", "vectorization_mode"}
"""Arguments of `gymnasium.make` that are no arguments of an environment."""

_NOT_BY_NAME = {
    *("Autoreset", "vector"),
    *("RecordVideo", "HumanRendering", "RenderCollection", "AddRenderObservation"),
    *("TransformAction", "TransformObservation", "TransformReward"),
    *("ArrayConversion", "JaxToNumpy", "JaxToTorch", "NumpyToTorch"),
}
"""Names of `gymnasium.wrappers` that a configuration cannot give: resets and rendering belong to the lab, functions are
no plain values, and observations are arrays of numpy."""

_INSTEAD = {"NormalizeObservation": "normalize.observations=true", "NormalizeReward": "normalize.rewards=true"}
"""Wrappers with statistics of each environment, which evaluations would lack, and the setting that replaces them."""

Value = bool | int | float | str | list[int] | list[float] | list[str] | None
"""An argument that a configuration can give to an environment or a wrapper."""


class WrapperConfig(Config):
    """A wrapper of `gymnasium.wrappers` and its arguments."""

    name: str = Field(description="Class of gymnasium.wrappers, such as FrameStackObservation.")
    kwargs: dict[str, Value] = Field(default_factory=dict, description="Arguments of the wrapper by name.")


class EnvironmentConfig(Config):
    """A Gymnasium environment."""

    id: str = Field(
        description="Registered id of the environment, such as CartPole-v1; or pettingzoo: and the module of a "
        "parallel environment of PettingZoo or MPE2, all of whose agents share the policy, such as "
        "pettingzoo:mpe2.simple_spread_v3."
    )
    kwargs: dict[str, Value] = Field(default_factory=dict, description="Arguments of the environment by name.")
    wrappers: tuple[WrapperConfig, ...] = Field(
        default=(), description="Wrappers of gymnasium.wrappers around the environment, the innermost first."
    )
    masks: bool = Field(
        default=True, description="Use the environment's action masks where it gives them; false leaves them out."
    )

    @field_validator("id", mode="before")
    @classmethod
    def _module_of_pettingzoo(cls, name: Any) -> Any:
        """Name the prefix and the module in errors: YAML reads an id that ends in a colon as a mapping."""
        if isinstance(name, dict) and list(name.values()) == [None]:
            name = f"{next(iter(name))}:"
        if isinstance(name, str) and name.lower().startswith(PARALLEL_PREFIX):
            module = name[len(PARALLEL_PREFIX) :]
            if not module or not name.startswith(PARALLEL_PREFIX):
                raise ValueError(f"write {PARALLEL_PREFIX}{module or 'mpe2.simple_spread_v3'}, not {name}")
        return name


def maker(config: EnvironmentConfig, render_mode: str | None = None) -> Callable[[], gym.Env[Any, Any]]:
    """A function that makes the environment, which another process can be given."""
    return partial(make, config, render_mode=render_mode)


def make(config: EnvironmentConfig, *, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """An environment with its wrappers. Raises UserError with one line: the cause and the fix."""
    spec = find(config.id)
    for name in _RESERVED & set(config.kwargs):
        raise UserError(f"env.kwargs.{name} is set by the lab; leave it out")
    if str(spec.entry_point).startswith("gymnasium.envs.mujoco"):
        tame("mujoco")
    with quiet(), _explained(str(spec.entry_point), f"environment {config.id!r}"):
        # Not render_mode=None: constructors need not know it.
        arguments: dict[str, Any] = {"render_mode": render_mode} if render_mode else {}
        arguments |= config.kwargs
        # Without Gymnasium's checker: what it looks for in the first step is looked for in every one.
        env: gym.Env[Any, Any] = gym.make(spec, disable_env_checker=True, **arguments)
    for wrapper in config.wrappers:
        kind = wrapper_class(wrapper.name)
        with quiet(), _explained("gymnasium.wrappers", f"wrapper {wrapper.name} of {config.id}"):
            # Lists of a YAML file: the wrappers take tuples for shapes.
            given = {key: tuple(value) if isinstance(value, list) else value for key, value in wrapper.kwargs.items()}
            env = kind(env, **given)
    return env if config.masks else Unmasked(env)


def has_vectorised(config: EnvironmentConfig) -> bool:
    """Whether Gymnasium has a vectorised implementation of the environment that is equal to the single one.

    Those of other packages may differ: that of ALE has preprocessing of its own and clips rewards.
    """
    known = str(find(config.id).vector_entry_point).startswith("gymnasium.envs.classic_control")
    limit = config.kwargs.get("max_episode_steps", 1)
    unlimited = isinstance(limit, int | float) and limit < 1  # for the vectorised ones that is a limit
    return known and not config.wrappers and config.masks and not unlimited


def make_vector(config: EnvironmentConfig, count: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    """The vectorised implementation that is registered for an environment.

    Raises UserError where there is none, or where its spaces are not those of the single environment, in which
    policies are evaluated.
    """
    spec = find(config.id)
    if not spec.vector_entry_point or config.wrappers or not config.masks:
        why = "has wrappers or masks=false" if spec.vector_entry_point else "has no vectorised implementation"
        raise UserError(f"env.vectorization=gymnasium: {config.id} {why}; leave it out")
    with quiet(), _explained(str(spec.vector_entry_point), f"vectorised environment {config.id!r}"):
        mode = gym.VectorizeMode.VECTOR_ENTRY_POINT
        arguments: dict[str, Any] = dict(config.kwargs)
        env = gym.make_vec(spec, num_envs=count, vectorization_mode=mode, **arguments)
    single = make(config)
    same = (single.observation_space, single.action_space) == (env.single_observation_space, env.single_action_space)
    close(single)
    if not same:
        close(env)
        raise UserError(
            f"env.vectorization=gymnasium: the vectorised {config.id} has other spaces than the single one, in which "
            "policies are evaluated; leave it out"
        )
    return env


def find(name: str) -> EnvSpec:
    """The registered environment of an id. Raises UserError that names the nearest ids, or the missing package."""
    if ":" in name:
        raise UserError(
            f"environment id {name!r} names a module, which a configuration cannot: a package registers its "
            f"environments through an entry point of the group {ENTRY_POINTS}; leave out the part before the colon"
        )
    recall.register()
    if name not in gym.registry:
        register_installed()
    namespace = name.rpartition("/")[0]
    if namespace in _PACKAGES and name not in gym.registry:
        _register(namespace)
    with quiet():
        try:
            return gym.spec(name)
        except gym.error.Error:
            raise UserError(f"unknown environment {name!r}; {did_you_mean(name, sorted(gym.registry))}") from None


def wrapper_class(name: str) -> Any:
    """A wrapper of `gymnasium.wrappers` by its name. Raises UserError for another name."""
    if name in _INSTEAD:
        raise UserError(f"wrapper {name} keeps statistics that evaluations lack: set {_INSTEAD[name]} instead")
    known = [other for other in gym.wrappers.__all__ if other not in _NOT_BY_NAME and other not in _INSTEAD]
    if name not in known:
        raise UserError(f"unknown wrapper {name!r}; {did_you_mean(name, known)}")
    return getattr(gym.wrappers, name)


def _register(namespace: str) -> None:
    package = _PACKAGES[namespace]
    try:
        with quiet():
            module = importlib.import_module(package)
            tame(package)
            if hasattr(module, "register_envs"):
                module.register_envs()
            else:
                gym.register_envs(module)
    except ImportError as error:
        extra = _EXTRAS[package.partition(".")[0]]
        raise UserError(f"{namespace} needs {error.name}: pip install 'rivals-lab[{extra}]'") from None


@contextlib.contextmanager
def _explained(entry_point: str, what: str) -> Iterator[None]:
    """Turn what Gymnasium and the constructor of an environment or a wrapper raise into one line."""
    try:
        yield
    except UserError:
        raise
    except (gym.error.DependencyNotInstalled, ImportError) as error:
        raise UserError(f"{what} needs a package that is not installed: {_remedy(entry_point, error)}") from None
    except (gym.error.Error, TypeError, ValueError, AssertionError) as error:
        reason = one_line(error).partition(" was raised from the environment creator")[0]
        raise UserError(f"{what} cannot be made: {reason}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{what} cannot be made: {described(error)}") from error


def _remedy(entry_point: str, error: ImportError | gym.error.Error) -> str:
    needed = next((packages for prefix, packages in _NEEDS.items() if entry_point.startswith(prefix)), ())
    for package in (*needed, getattr(error, "name", None)):
        if package in _EXTRAS and importlib.util.find_spec(package) is None:
            return f"pip install 'rivals-lab[{_EXTRAS[package]}]'"
    return one_line(error)
