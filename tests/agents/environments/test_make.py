"""Environments and wrappers by name, and the line that says why one cannot be made."""

import importlib.util
from typing import Any

import pytest

from agents.environments.inspection import inspect
from agents.environments.make import EnvironmentConfig, WrapperConfig, has_vectorised, make, make_vector
from lab.errors import UserError


def config(name: str, wrapper: str | None = None, kwargs: Any = None, **own: Any) -> EnvironmentConfig:
    wrappers = () if wrapper is None else (WrapperConfig(name=wrapper, kwargs=kwargs or {}),)
    return EnvironmentConfig(id=name, kwargs=own, wrappers=wrappers)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (config("CartPole"), "unknown environment 'CartPole'; did you mean 'CartPole-v1'"),
        (config("os:system"), "names a module"),
        (config("CartPole-v1", gravty=1), "CartPole-v1' cannot be made: .*unexpected keyword argument 'gravty'$"),
        (config("CartPole-v1", max_episode_steps=0), "to be positive"),
        (config("CartPole-v1", render_mode="human"), "env.kwargs.render_mode is set by the lab"),
        (config("FrozenLake-v1", map_name="9x9"), "KeyError: '9x9'"),
        (config("CartPole-v1", "FrameStackObservations"), "unknown wrapper .*did you mean 'FrameStackObservation'"),
        (config("CartPole-v1", "RecordVideo", {"video_folder": "x"}), "unknown wrapper 'RecordVideo'"),
        (config("CartPole-v1", "NormalizeObservation"), "set normalize.observations=true instead"),
        (config("CartPole-v1", "TimeLimit"), "wrapper TimeLimit of CartPole-v1 cannot be made: .*max_episode_steps"),
        (config("CartPole-v1", "ClipAction"), "ClipAction requires a Box action space"),
    ],
)
def test_what_cannot_be_made_is_one_line(wanted: EnvironmentConfig, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make(wanted)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("LunarLander-v3", "Box2D", "box2d"),
        ("HalfCheetah-v5", "mujoco", "mujoco"),
        ("MinAtar/Breakout-v1", "minatar", "minatar"),
        ("ALE/Pong-v5", "ale_py", "atari"),
    ],
)
def test_a_missing_package_is_said_with_its_extra(name: str, package: str, extra: str) -> None:
    if importlib.util.find_spec(package):
        inspect(make(config(name)))
    else:
        with pytest.raises(UserError, match=rf"pip install 'rivals-lab\[{extra}\]'"):
            make(config(name))


@pytest.mark.skipif(importlib.util.find_spec("ale_py") is None, reason="ale_py is not installed")
def test_the_preprocessing_of_atari_gives_four_stacked_images() -> None:
    wrappers = (
        WrapperConfig(name="AtariPreprocessing"),
        WrapperConfig(name="FrameStackObservation", kwargs={"stack_size": 4}),
    )
    spaces = inspect(make(EnvironmentConfig(id="ALE/Breakout-v5", kwargs={"frameskip": 1}, wrappers=wrappers)))
    assert [(image.shape, image.scale) for image in spaces.codec.images] == [((4, 84, 84), 255.0)]
    assert spaces.actions.sizes == (4,)


def test_wrappers_may_change_the_spaces() -> None:
    stacked = inspect(make(config("CartPole-v1", "FrameStackObservation", {"stack_size": 4})))
    assert stacked.codec.vector_size == 16
    assert inspect(make(config("Pendulum-v1", "DiscretizeAction", {"bins": 3}))).actions.sizes == (3,)
    # YAML has lists alone, and the wrapper wants a tuple.
    assert inspect(make(config("CartPole-v1", "ReshapeObservation", {"shape": [2, 2]}))).codec.vector_size == 4


def test_vectorised_environments_are_those_known_to_equal_the_single_one() -> None:
    assert has_vectorised(config("CartPole-v1"))
    limited = config("CartPole-v1", "TimeLimit", {"max_episode_steps": 5})
    assert not has_vectorised(limited)
    for wanted, reason in (
        (limited, "has wrappers or masks=false"),
        (config("Acrobot-v1"), "has no vectorised implementation"),
    ):
        with pytest.raises(UserError, match=reason):
            make_vector(wanted, 2)
