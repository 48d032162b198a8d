"""The state of an environment, written to a checkpoint and read back, continues as the environment does."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents.environments import snapshots
from agents.environments.make import EnvironmentConfig, WrapperConfig, make, make_vector
from agents.environments.recall import ID
from lab.run import checkpoint

CLASSIC = ["CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1"]
TEXT = ["Taxi-v4", "FrozenLake-v1", "CliffWalkingSlippery-v1", "Blackjack-v1"]
WRAPPERS: dict[str, dict[str, Any]] = {
    "TimeLimit": {"max_episode_steps": 7},
    "FrameStackObservation": {"stack_size": 3},
    "DelayObservation": {"delay": 2},
    "TimeAwareObservation": {},
    "StickyAction": {"repeat_action_probability": 0.5, "repeat_action_duration": (1, 3)},
    "RepeatAction": {"num_repeats": 2},
    "RescaleObservation": {"min_obs": -1.0, "max_obs": 1.0},
    "DiscretizeObservation": {"bins": 5},
    "ClipReward": {"min_reward": -0.5},
}


def through_a_checkpoint(state: Any, folder: Path) -> Any:
    path = checkpoint.save(folder, {"state": state}, iteration=1, counters={})
    return checkpoint.load(path)[0]["state"]


def steps(env: gym.Env[Any, Any], actions: list[Any]) -> list[str]:
    """Everything that the steps give, with its type."""
    seen = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(repr((observation, float(reward), terminated, truncated, info.get("action_mask"))))
        if terminated or truncated:
            seen.append(repr(env.reset()[0]))
    return seen


@pytest.mark.parametrize(
    ("name", "wrapper"),
    [*((name, None) for name in [*CLASSIC, *TEXT, ID]), *(("MountainCar-v0", wrapper) for wrapper in WRAPPERS)],
)
def test_a_saved_environment_continues_bit_for_bit(name: str, wrapper: str | None, tmp_path: Path) -> None:
    wrappers = () if wrapper is None else (WrapperConfig(name=wrapper, kwargs=WRAPPERS[wrapper]),)
    config = EnvironmentConfig(id=name, wrappers=wrappers)
    one, other = make(config), make(config)
    one.action_space.seed(0)
    actions: list[Any] = [one.action_space.sample() for _ in range(60)]
    one.reset(seed=1)
    steps(one, actions[:23])
    state = snapshots.save(one)
    assert state is not None
    following = steps(one, actions)
    other.reset(seed=2)
    snapshots.load(other, through_a_checkpoint(state, tmp_path))
    assert steps(other, actions) == following


def test_a_saved_vector_environment_continues_bit_for_bit(tmp_path: Path) -> None:
    config = EnvironmentConfig(id="CartPole-v1")
    one, other = make_vector(config, 3), make_vector(config, 3)
    one.reset(seed=1)
    other.reset(seed=2)
    for _ in range(15):
        one.step(np.ones(3, np.int64))
    state = snapshots.save(one)
    found = [repr(one.step(np.ones(3, np.int64))) for _ in range(30)]
    snapshots.load(other, through_a_checkpoint(state, tmp_path))
    assert [repr(other.step(np.ones(3, np.int64))) for _ in range(30)] == found


def test_a_state_is_a_copy() -> None:
    env = make(EnvironmentConfig(id="Blackjack-v1"))
    env.reset(seed=0)
    state = snapshots.save(env)
    assert state is not None
    before = repr(state)
    env.step(1)
    assert repr(state) == before


class Pair(gym.Env[dict[str, Any], np.int64]):
    """Dict observations, and a state that can be saved."""

    observation_space = gym.spaces.Dict({"a": gym.spaces.Box(0.0, 1.0, (2,)), "b": gym.spaces.Box(0.0, 1.0, (3,))})
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: np.int64) -> Any:
        return self.observation_space.sample(), 0.0, False, False, {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        assert state == {}


def test_what_could_not_be_loaded_is_not_saved() -> None:
    """A wrapper that keeps Dict observations: a state that `load` refuses would make the checkpoint useless."""
    plain, stacked = Pair(), gym.wrappers.DelayObservation(Pair(), delay=2)
    for env in (plain, stacked):
        env.reset(seed=0)
        env.step(np.int64(0))
    state = snapshots.save(plain)
    assert state is not None
    snapshots.load(plain, state)
    assert snapshots.save(stacked) is None


def test_what_is_not_known_is_not_saved() -> None:
    class Own(gym.Wrapper[Any, Any, Any, Any]):
        pass

    env = make(EnvironmentConfig(id="CartPole-v1"))
    assert snapshots.save(Own(env)) is None
    assert snapshots.save(gym.wrappers.RecordEpisodeStatistics(env)) is None

    class CartPoleEnv(type(env.unwrapped)):  # type: ignore[misc]  # a subclass may keep state of its own
        pass

    assert snapshots.save(CartPoleEnv()) is None


@pytest.mark.parametrize(
    "state", [ZeroDivisionError("no state"), {"a": b"bytes"}, {"a": np.array([object()])}, {1: 2}, 7]
)
def test_a_state_that_a_checkpoint_cannot_keep_is_not_saved(state: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Own(gym.Env[Any, Any]):
        def state_dict(self) -> Any:
            if isinstance(state, Exception):
                raise state
            return state

        def load_state_dict(self, state: Any) -> None:
            raise AssertionError

    snapshots._say_once.cache_clear()
    assert [snapshots.save(Own()), snapshots.save(Own())] == [None, None]
    (line,) = caplog.messages
    assert "state_dict of environment Own" in line and "begins new episodes" in line
