"""Vector environments: every autoreset mode gives the same episodes, and no row that is none."""

import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray

from agents.environments import snapshots
from agents.environments.environments import Environments, Rows
from agents.environments.inspection import inspect
from agents.environments.make import EnvironmentConfig, make
from agents.environments.serial import SerialEnvironments
from agents.environments.vector import VectorEnvironments
from lab.errors import UserError

MODES = ["own", AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class Counter(gym.Env[NDArray[np.float32], np.int64]):
    """Observes its episode, its step, and the step at which it terminates, drawn by seed; the reward is the step."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0.0, 1e6, (3,), np.float32)
        self.action_space = gym.spaces.Discrete(3)
        self._episode = self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._episode, self._step = self._episode + 1, 0
        self._ends = int(self.np_random.integers(2, 8))
        return self._observe(), {"action_mask": self._legal()}

    def step(self, action: np.int64) -> Any:
        assert self._legal()[int(action)], "an illegal action"
        self._step += 1
        return self._observe(), float(self._step), self._step == self._ends, False, {"action_mask": self._legal()}

    def _observe(self) -> NDArray[np.float32]:
        return np.array([self._episode, self._step, self._ends], np.float32)

    def _legal(self) -> NDArray[np.int8]:
        return (np.arange(3) != (self._episode + self._step) % 3).astype(np.int8)


def _make() -> gym.Env[Any, Any]:
    return gym.wrappers.TimeLimit(Counter(), 5)


def environments(mode: Any, count: int = 3) -> Environments:
    if mode == "own":
        return SerialEnvironments(_make, count)
    return VectorEnvironments(SyncVectorEnv([_make] * count, autoreset_mode=mode))


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_rows_are_the_steps_of_episodes(mode: Any) -> None:
    """From rows alone: observations count up, starts count from 0, rewards and ends are those of the environment."""
    envs = environments(mode)
    rows = Rows(envs.spaces.codec.empty(3), np.zeros((3, 3), np.bool_))
    envs.reset(7, rows)
    assert envs.spaces.masks
    starts = np.ones(3, np.bool_)
    truncations = terminations = invalid = 0
    for _ in range(60):
        seen = rows.observations["vector"].copy()
        assert (rows.mask.sum(1) == 2).all()
        assert (seen[starts, 1] == 0).all()
        envs.send(0, rows.mask.argmax(1)[:, None])
        step = envs.receive(0, rows)
        following = rows.observations["vector"]
        valid = step.valid
        np.testing.assert_array_equal(step.reward[valid], seen[valid, 1] + 1)
        np.testing.assert_array_equal(step.terminated[valid], step.reward[valid] == seen[valid, 2])
        np.testing.assert_array_equal(step.truncated[valid], step.reward[valid] == 5)
        going_on = valid & ~(step.terminated | step.truncated)
        np.testing.assert_array_equal(following[going_on], seen[going_on] + [0, 1, 0])
        np.testing.assert_array_equal(step.final["vector"], seen[step.final_rows] + [0, 1, 0])
        assert not (step.reward[~valid].any() or step.terminated[~valid].any() or step.truncated[~valid].any())
        # The observation after a truncation is the final one, unless that is handed over apart.
        apart = np.zeros(3, np.bool_)
        apart[step.final_rows] = True
        kept = step.truncated & ~step.terminated & ~apart
        np.testing.assert_array_equal(following[kept], seen[kept] + [0, 1, 0])
        truncations += int((step.truncated & ~step.terminated).sum())
        terminations += int(step.terminated.sum())
        invalid += int((~valid).sum())
        starts = step.starts
    assert truncations > 3
    assert terminations > 3
    assert (invalid > 0) == (mode == AutoresetMode.NEXT_STEP)


class Scripted(VectorEnv[Any, Any, Any]):
    """Two environments whose step is a function."""

    def __init__(self, fault: Callable[[], Any], metadata: dict[str, Any] | None = None) -> None:
        self.num_envs, self.metadata = 2, metadata or {}
        self.single_observation_space = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.single_action_space = gym.spaces.Discrete(2)
        self._fault = fault

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return np.zeros((2, 3), np.float32), {}

    def step(self, actions: Any) -> Any:
        return self._fault()


def _truncated(info: dict[str, Any], reward: Any = (0.0, 0.0)) -> Any:
    return np.zeros((2, 3), np.float32), np.array(reward), np.zeros(2, np.bool_), np.array([True, False]), info


SAME_STEP = {"autoreset_mode": AutoresetMode.SAME_STEP}


@pytest.mark.parametrize(
    ("fault", "metadata", "message"),
    [
        (lambda: sys.exit(), None, "Scripted failed in step: SystemExit"),
        (lambda: None, None, "step returned one NoneType where"),
        (lambda: _truncated({}, reward=[1.0, 2.0, 3.0]), None, "failed in step .reward, terminated, truncated.: Value"),
        (lambda: _truncated({"action_mask": np.ones((2, 2))}), None, "gives an action mask in step and gave none in"),
        (lambda: _truncated({}), SAME_STEP, r"truncated an episode and gave no info\['final_obs'\]"),
        (lambda: _truncated({"final_obs": [[0.0]]}), SAME_STEP, "Scripted: an observation"),
    ],
)
def test_a_vector_environment_that_breaks_the_interface_is_one_line(
    fault: Callable[[], Any], metadata: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        envs = VectorEnvironments(Scripted(fault, metadata))
        rows = Rows(envs.spaces.codec.empty(2), np.ones((2, 0), np.bool_))
        envs.reset(0, rows)
        envs.send(0, np.zeros((2, 1), np.int64))
        envs.receive(0, rows)
    assert "\n" not in str(caught.value)


def test_masks_can_be_left_out() -> None:
    """Without its masks an environment has none in its spaces, and its state can still be saved."""
    env = make(EnvironmentConfig(id="Taxi-v4", masks=False))
    assert inspect(make(EnvironmentConfig(id="Taxi-v4"))).masks and not inspect(env).masks
    assert "action_mask" not in env.step(0)[4]
    assert snapshots.save(env) is not None
