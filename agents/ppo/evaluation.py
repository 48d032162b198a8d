"""Evaluation of a policy: whole episodes in environments of their own."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.environments.factory import in_process
from agents.environments.vector import Environments, Rows
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.network import ActorCritic
from agents.ppo.policy import Policy
from lab.errors import UserError

_log = logging.getLogger(__name__)
_FIRST_SEED = 1_000_003
"""Evaluations use seeds that training does not."""
_AT_ONCE = 64
"""Most environments that are held at once."""


class Returns(NamedTuple):
    """Undiscounted returns [E] and lengths [E] of episodes; with several agents the mean of their returns."""

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
    environments = in_process(config.env, len(numbers), numbers=numbers)
    count, agents = environments.count, environments.spaces.agents
    try:
        rows = blank_rows(environments)
        environments.reset(first_seed(seed), rows)
        noise = None if sampling_seed is None else sampling_seed + numbers.start
        policy = Policy(network, distribution, count, noise)
        starts, running = np.ones(count, np.bool_), np.ones(count, np.bool_)
        returns, lengths = np.zeros(count), np.zeros(count, np.int64)
        for _ in range(config.evaluate.max_steps):
            environments.send(0, policy.act(rows, starts))
            step = environments.receive(0, rows)
            returns[running] += step.reward[running]
            lengths[running] += step.valid[running]
            running &= ~(step.terminated | step.truncated)
            starts = step.starts
            if not running.any():
                break
        else:
            _log.warning(
                "%s: episodes were cut after evaluate.max_steps=%d steps", config.env.id, config.evaluate.max_steps
            )
    finally:
        environments.close()
    if not np.isfinite(returns).all():
        raise UserError(f"environment {config.env.id!r} gave a NaN or infinite reward in an evaluation")
    return Returns(returns.reshape(-1, agents).mean(1), lengths.reshape(-1, agents).max(1))


def blank_rows(environments: Environments) -> Rows:
    """Rows for the observations and masks of all environments."""
    count, spaces = environments.count, environments.spaces
    mask_size = spaces.actions.mask_size if spaces.masks else 0
    return Rows(spaces.codec.empty(count), np.ones((count, mask_size), np.bool_))


def first_seed(seed: int) -> int:
    """The seed of the environments of an evaluation."""
    return _FIRST_SEED + seed
