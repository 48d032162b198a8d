"""A policy ready to act: network, distribution and how observations are encoded."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.environments.environments import Rows, Spaces
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution, make_distribution
from agents.ppo.network import ActorCritic
from lab import rng
from lab.errors import UserError


def make_network(config: PPOConfig, spaces: Spaces) -> tuple[ActorCritic, ActionDistribution]:
    """The network of a configuration and the distribution over its actions. Raises UserError where they do not fit."""
    squash = config.network.squash
    if squash and not spaces.actions.continuous:
        raise UserError(
            f"network.squash is for continuous actions, and {config.env.id} has discrete ones; leave it out"
        )
    if squash and not np.isfinite([spaces.actions.low, spaces.actions.high]).all():
        raise UserError(f"network.squash needs bounded actions, and those of {config.env.id} are not; leave it out")
    distribution = make_distribution(spaces.actions, squash)
    clip = config.normalize.clip if config.normalize.observations else None
    return ActorCritic(spaces.codec, distribution, config.network, clip), distribution


class Policy:
    """Acts in n environments at once, deterministically or by sampling; keeps the recurrent states.

    A sampled action is a function of the seed, of the steps so far and of the environment's number.
    """

    def __init__(
        self,
        network: ActorCritic,
        distribution: ActionDistribution,
        count: int,
        *,
        seed: int | None,
        first: int = 0,
    ) -> None:
        """seed: of sampled actions; None takes the deterministic ones. first: number of the first environment."""
        self._network, self._distribution = network, distribution
        self._device = network.value.weight.device
        self._state = network.initial_state(count)
        self._seed, self._steps, self._first = seed, 0, first

    @torch.no_grad()
    def act(self, rows: Rows, starts: NDArray[np.bool_]) -> NDArray[np.generic]:
        """Actions [n, D] as environments take them. starts: rows that begin an episode."""
        network = self._network
        observations = network.prepare({name: self._tensor(array) for name, array in rows.observations.items()})
        if network.recurrent:
            self._state[self._tensor(starts)] = 0.0
            outputs, _, self._state = network.step(observations, self._state)
        else:
            outputs = network.act(observations)
        mask = self._tensor(rows.mask) if rows.mask.shape[-1] else None
        if self._seed is None:
            chosen = self._distribution.mode(outputs, mask)
        else:
            chosen = self._distribution.sample(outputs, self._random(self._seed, len(outputs)), mask)
        self._steps += 1
        return self._distribution.to_environment(chosen).cpu().numpy()

    def _random(self, seed: int, count: int) -> Tensor:
        """Random numbers [count, K] of the samples of a step."""
        numbers = torch.arange(self._first, self._first + count)[:, None]
        columns = torch.arange(self._distribution.noise)
        uniform = rng.uniform(seed, int(rng.Stream.EVALUATION), self._steps, numbers, columns)
        return self._distribution.random(uniform).to(self._device)

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self._device)
