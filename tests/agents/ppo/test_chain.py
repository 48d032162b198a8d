"""Values of a two-state chain against their closed form, with termination and with truncation.

The chain goes from A (reward 1) to B (reward 2) and back. It terminates after B, or never, and then a time limit cuts
its episodes. A truncation that is taken for a termination misses the values below by more than 5.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from agents.environments.environments import Environments
from agents.environments.serial import SerialEnvironments
from agents.environments.vector import VectorEnvironments
from agents.ppo.config import PPOConfig
from lab.train import random_state
from tests.agents import small_ppo

DISCOUNT = 0.9
MODES = ["own", AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class Chain(gym.Env[NDArray[np.float32], np.int64]):
    """A and B as one-hot observations; actions have no effect."""

    def __init__(self, terminates: bool) -> None:
        self.observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self._terminates, self._at = terminates, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._at = 0
        return np.eye(2, dtype=np.float32)[0], {}

    def step(self, action: np.int64) -> Any:
        reward, ended = float(self._at + 1), self._terminates and self._at == 1
        self._at = 1 - self._at
        return np.eye(2, dtype=np.float32)[self._at], reward, ended, False, {}


def _environments(mode: Any, terminates: bool) -> Environments:
    def make() -> gym.Env[Any, Any]:
        return gym.wrappers.TimeLimit(Chain(terminates), 5)

    if mode == "own":
        return SerialEnvironments(make, 4)
    return VectorEnvironments(SyncVectorEnv([make] * 4, autoreset_mode=mode))


@pytest.mark.parametrize("recurrent", ["none", pytest.param("gru", marks=pytest.mark.slow)])
@pytest.mark.parametrize("terminates", [True, False], ids=["termination", "truncation"])
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_values_of_a_chain_are_the_closed_form(mode: Any, terminates: bool, recurrent: str) -> None:
    config = PPOConfig.model_validate(
        {
            "budget": 100_000,
            "env": {"id": "chain", "count": 4},
            "network": {"hidden": (16,), "recurrent": recurrent, "recurrent_size": 8},
            "learner": {
                **{"rollout_steps": 16, "minibatch": 64, "epochs": 10, "learning_rate": 2e-2, "schedule": "constant"},
                **{"discount": DISCOUNT, "gae_lambda": 0.5, "gradient_clip": None, "value_weight": 1.0},
            },
        }
    )
    random_state.seed_everything(0)
    experiment = small_ppo.in_environments(config, _environments(mode, terminates))
    for _ in range(60):
        experiment.iterate()
    rollout, _ = experiment.collect()
    values = rollout.values[rollout.valid]
    seen = rollout.observations["vector"][rollout.valid].argmax(-1)
    if terminates:
        expected = {0: 1 + DISCOUNT * 2, 1: 2.0}
    else:
        endless = 1 - DISCOUNT**2
        expected = {0: (1 + DISCOUNT * 2) / endless, 1: (2 + DISCOUNT) / endless}
    for state, value in expected.items():
        found = float(values[seen == state].mean())
        assert found == pytest.approx(value, abs=0.35), f"state {'AB'[state]}: {found:.2f}, not {value:.2f}"
    assert torch.isfinite(values).all()
