"""Numbers of an environment that are not finite, or too large for float32, end training with one line."""

import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from agents.ppo.experiment import build
from lab.errors import UserError
from tests.agents import small_ppo


class Bad(gym.Env[Any, Any]):
    """Gives `value` at its last step, in the observation or as the reward."""

    def __init__(self, value: str, where: str) -> None:
        shape = (8, 8, 3) if where == "image" else (2,)
        self.observation_space: Any = gym.spaces.Box(-1.0, 1.0, shape, np.float32)
        self.action_space: Any = gym.spaces.Discrete(2)
        self._value, self._where, self._step = float(value), where, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._step = 0
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action: Any) -> Any:
        self._step += 1
        bad = self._step == 5
        seen = np.full(self.observation_space.shape, self._value if bad and self._where != "reward" else 0.0)
        over = self._step == (5 if self._where == "final" else 9)
        return seen, self._value if bad and self._where == "reward" else 1.0, False, over, {}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "1e39"])
@pytest.mark.parametrize("where", ["vector", "image", "final", "reward"])
def test_training_ends_and_names_the_environment(
    where: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Any = Bad
    monkeypatch.setitem(gym.registry, "Bad-v0", EnvSpec("Bad-v0", entry_point=made))
    env = {"id": "Bad-v0", "count": 2, "kwargs": {"value": value, "where": where}}
    config = small_ppo.config(env=env)
    what = "a reward" if where == "reward" else "an observation"
    # Observations are kept as float32, in which large numbers are infinite.
    number = {"nan": "nan", "inf": "inf"}.get(value, f"{float(value):g}" if where == "reward" else "inf")
    message = rf"'Bad-v0' gave {what} that is no finite float32 number: {re.escape(number)} \(environment 0\)"
    with pytest.raises(UserError, match=message):
        build(config, tmp_path, small_ppo.DEVICE).iterate()
