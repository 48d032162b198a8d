"""Evaluation of a policy: whole episodes in environments of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.environments.make import maker
from agents.environments.vector import Environments, Rows, SerialEnvironments
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.network import ActorCritic
from agents.ppo.policy import Policy

_FIRST_SEED = 1_000_003
"""Evaluations use seeds that training does not."""
_AT_ONCE = 64
"""Most environments that are held at once."""


class Returns(NamedTuple):
    """Undiscounted returns [E] and lengths [E] of episodes."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]


def play_episodes(
    network: ActorCritic,
    distribution: ActionDistribution,
    config: PPOConfig,
    *,
    episodes: int,
    deterministic: bool,
    seed: int,
) -> Returns:
    """Play `episodes` episodes, each in an environment of its own: no environment plays more of its short ones.

    The episodes are a function of the seed; they do not depend on training.
    """
    parts = [range(first, min(first + _AT_ONCE, episodes)) for first in range(0, episodes, _AT_ONCE)]
    played = [_play(network, distribution, config, part, None if deterministic else seed, seed) for part in parts]
    return Returns(*(np.concatenate(arrays) for arrays in zip(*played, strict=True)))


def _play(
    network: ActorCritic,
    distribution: ActionDistribution,
    config: PPOConfig,
    numbers: range,
    sampling_seed: int | None,
    seed: int,
) -> Returns:
    """The episodes with these numbers, together."""
    episodes = len(numbers)
    environments = SerialEnvironments(maker(config.env), episodes, numbers=numbers)
    try:
        rows = blank_rows(environments)
        environments.reset(first_seed(seed), rows)
        noise = None if sampling_seed is None else sampling_seed + numbers.start
        policy = Policy(network, distribution, episodes, noise)
        starts, running = np.ones(episodes, np.bool_), np.ones(episodes, np.bool_)
        returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
        while running.any():
            environments.send(0, policy.act(rows, starts))
            step = environments.receive(0, rows)
            returns[running] += step.reward[running]
            lengths[running] += 1
            running &= ~(step.terminated | step.truncated)
            starts = step.starts
    finally:
        environments.close()
    return Returns(returns, lengths)


def blank_rows(environments: Environments) -> Rows:
    """Rows for the observations and masks of all environments."""
    count, spaces = environments.count, environments.spaces
    mask_size = spaces.actions.mask_size if spaces.masks else 0
    return Rows(spaces.codec.empty(count), np.ones((count, mask_size), np.bool_))


def first_seed(seed: int) -> int:
    """The seed of the environments of an evaluation."""
    return _FIRST_SEED + seed
