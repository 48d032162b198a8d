"""Evaluation of a policy: whole episodes in environments of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from agents.environments.environments import Environments, Rows
from agents.environments.factory import in_process
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.network import ActorCritic
from agents.ppo.policy import Policy
from lab.errors import UserError

_log = logging.getLogger(__name__)
T = TypeVar("T")
_VALIDATION, _HELD_OUT = 1_000_003, 2_000_003
"""Added to seeds, so that neither training, nor the evaluations of a run, nor those of others share episodes."""
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

    seed: of `validation_seed` or `held_out_seed`. Episode i is a function of the seed, of i and of the policy.
    """
    parts = [range(first, min(first + _AT_ONCE, episodes)) for first in range(0, episodes, _AT_ONCE)]
    played = []
    for part in parts:
        environments = in_process(config.env, len(part), numbers=part)
        try:
            policy = Policy(
                network,
                distribution,
                environments.count,
                seed=None if deterministic else seed,
                first=part.start * environments.spaces.agents,
            )
            played.append(_finish(play(environments, policy, seed, config.evaluate.max_steps, show=lambda: None)))
        finally:
            environments.close()
    return Returns(*(np.concatenate(arrays) for arrays in zip(*played, strict=True)))


def play(
    environments: Environments, policy: Policy, seed: int, max_steps: int, *, show: Callable[[], T]
) -> Generator[T, None, Returns]:
    """Play the first episode of every environment; yields what `show` returns before each step.

    Raises UserError if a reward is NaN or infinite.
    """
    count, spaces = environments.count, environments.spaces
    mask_size = spaces.actions.mask_size if spaces.masks else 0
    rows = Rows(spaces.codec.empty(count), np.ones((count, mask_size), np.bool_))
    environments.reset(seed, rows)
    starts, running = np.ones(count, np.bool_), np.ones(count, np.bool_)
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    for _ in range(max_steps):
        yield show()
        environments.send(0, policy.act(rows, starts))
        step = environments.receive(0, rows)
        returns[running] += step.reward[running]
        lengths[running] += step.valid[running]
        running &= ~(step.terminated | step.truncated)
        starts = step.starts
        if not running.any():
            break
    else:
        _log.warning("episodes were cut after evaluate.max_steps=%d steps", max_steps)
    if not np.isfinite(returns).all():
        raise UserError("the environment gave a NaN or infinite reward in an evaluation")
    return Returns(returns.reshape(-1, spaces.agents).mean(1), lengths.reshape(-1, spaces.agents).max(1))


def validation_seed(seed: int) -> int:
    """The seed of the evaluations of a run, by which its best checkpoint is chosen."""
    return _VALIDATION + seed


def held_out_seed(seed: int) -> int:
    """The seed of evaluations after training: the best checkpoint was not chosen by these episodes."""
    return _HELD_OUT + seed


def _finish(playing: Generator[Any, None, Returns]) -> Returns:
    while True:
        try:
            next(playing)
        except StopIteration as end:
            found: Returns = end.value
            return found
