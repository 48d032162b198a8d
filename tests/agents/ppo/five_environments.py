"""PPO in five environments, which two workers or ranks cannot share evenly."""

from functools import reduce
from typing import Any

from agents.ppo.config import PPOConfig
from lab.config.presets import merge
from tests.agents import small_ppo
from tests.agents.small_ppo import DEVICE

__all__ = ["DEVICE", "RECURRENT", "config"]

_FIVE: dict[str, Any] = {
    "env": {"count": 5, "vectorization": "serial"},
    "network": {"hidden": (16,)},
    "normalize": {"observations": True, "rewards": True},
    "learner": {"rollout_steps": 12, "minibatch": 24, "learning_rate": 0.01},
}
RECURRENT: dict[str, Any] = {
    "env": {"id": "rivals/Recall-v0", "kwargs": {"delay": 3}},
    "network": {"recurrent": "lstm", "recurrent_size": 8},
    "learner": {"sequence_length": 6},
}


def config(*changes: dict[str, Any]) -> PPOConfig:
    """Five environments of CartPole and both normalisations, under changes of nested settings."""
    return small_ppo.config(**reduce(merge, changes, _FIVE))
