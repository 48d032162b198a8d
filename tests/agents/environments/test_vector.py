"""Vector environments: every autoreset mode gives the same episodes, and no row that is none."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from agents.environments import snapshots
from agents.environments.make import EnvironmentConfig, make
from agents.environments.vector import Environments, Rows, SerialEnvironments, VectorEnvironments, inspect

MODES = ["own", AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class Counter(gym.Env[NDArray[np.float32], np.int64]):
    """Counts its steps in the observation; a seed decides when it terminates; the reward is the count."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0.0, 1e6, (2,), np.float32)
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
        return np.array([self._episode, self._step], np.float32)

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
        np.testing.assert_array_equal(step.truncated[valid] | step.terminated[valid], step.reward[valid] >= 5) if (
            step.reward[valid].max(initial=0) > 5
        ) else None
        going_on = valid & ~(step.terminated | step.truncated)
        np.testing.assert_array_equal(following[going_on], seen[going_on] + [0, 1])
        np.testing.assert_array_equal(step.final["vector"], seen[step.final_rows] + [0, 1])
        assert not (step.reward[~valid].any() or step.terminated[~valid].any() or step.truncated[~valid].any())
        # The observation after a truncation is the final one, unless that is handed over apart.
        apart = np.zeros(3, np.bool_)
        apart[step.final_rows] = True
        kept = step.truncated & ~step.terminated & ~apart
        np.testing.assert_array_equal(following[kept], seen[kept] + [0, 1])
        truncations += int((step.truncated & ~step.terminated).sum())
        terminations += int(step.terminated.sum())
        invalid += int((~valid).sum())
        starts = step.starts
    assert truncations > 3
    assert terminations > 3
    assert (invalid > 0) == (mode == AutoresetMode.NEXT_STEP)


def test_masks_can_be_left_out() -> None:
    """Without its masks an environment has none in its spaces, and its state can still be saved."""
    env = make(EnvironmentConfig(id="Taxi-v4", masks=False))
    assert inspect(make(EnvironmentConfig(id="Taxi-v4"))).masks and not inspect(env).masks
    assert "action_mask" not in env.step(0)[4]
    assert snapshots.save(env) is not None
