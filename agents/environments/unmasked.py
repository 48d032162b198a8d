"""Environments without their action masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from agents.environments.observations import MASK


class Unmasked(gym.Wrapper[Any, Any, Any, Any]):
    """Leaves the mask out of `info` and of Dict observations; illegal actions reach the environment."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        space = env.observation_space
        self._in_observation = isinstance(space, gym.spaces.Dict) and MASK in space.spaces
        if isinstance(space, gym.spaces.Dict):
            self.observation_space = gym.spaces.Dict({key: part for key, part in space.items() if key != MASK})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self._observation(observation), _without_mask(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._observation(observation), reward, terminated, truncated, _without_mask(info)

    def _observation(self, observation: Any) -> Any:
        return _without_mask(observation) if self._in_observation else observation


def _without_mask(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != MASK}
