"""Generalized advantage estimation against a plain loop over episodes."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agents.ppo.advantages import generalized_advantages

DISCOUNT, LAMBDA = 0.97, 0.9


def _episode_advantages(
    rewards: list[float], values: list[float], last_value: float, discount: float, lam: float
) -> list[float]:
    """The definition: the exponentially weighted sum of the one-step errors of one episode."""
    following = [*values[1:], last_value]
    errors = [r + discount * after - v for r, v, after in zip(rewards, values, following, strict=True)]
    return [
        sum((discount * lam) ** (later - at) * errors[later] for later in range(at, len(errors)))
        for at in range(len(errors))
    ]


def _expected(
    rewards: NDArray[np.float64],
    values: NDArray[np.float64],
    next_values: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    ended: NDArray[np.bool_],
    valid: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Cut every environment's rows into episodes, and apply the definition to each."""
    expected = np.zeros_like(rewards)
    for env in range(rewards.shape[1]):
        rows: list[int] = []
        for step in range(len(rewards)):
            if valid[step, env]:
                rows.append(step)
            over = ended[step, env] or step == len(rewards) - 1 or not valid[step + 1, env]
            if rows and over:
                last = 0.0 if terminated[rows[-1], env] else next_values[rows[-1], env]
                of_rows = [float(v) for v in values[rows, env]]
                expected[rows, env] = _episode_advantages(
                    [float(r) for r in rewards[rows, env]], of_rows, float(last), DISCOUNT, LAMBDA
                )
                rows = []
    return expected


@pytest.mark.parametrize("autoreset", ["same step", "next step"])
@pytest.mark.parametrize("seed", range(5))
def test_advantages_equal_a_loop_over_ragged_episodes(autoreset: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    steps, envs = 23, 7
    rewards, values = random.normal(size=(steps, envs)), random.normal(size=(steps, envs))
    ended = random.random((steps, envs)) < 0.25
    valid = np.ones((steps, envs), np.bool_)
    if autoreset == "next step":  # the row after the end of an episode is its reset
        for step in range(1, steps):
            valid[step] = ~(ended[step - 1] & valid[step - 1])
        ended &= valid
    terminated = ended & (random.random((steps, envs)) < 0.5)
    next_values = np.concatenate([values[1:], random.normal(size=(1, envs))])
    if autoreset == "same step":  # the final observation has a value of its own
        next_values = np.where(ended, random.normal(size=(steps, envs)), next_values)
    found = generalized_advantages(
        rewards=torch.from_numpy(rewards),
        values=torch.from_numpy(values),
        next_values=torch.from_numpy(next_values),
        terminated=torch.from_numpy(terminated),
        ended=torch.from_numpy(ended),
        valid=torch.from_numpy(valid),
        discount=DISCOUNT,
        gae_lambda=LAMBDA,
    )
    expected = _expected(rewards, values, next_values, terminated, ended, valid)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)
    assert not found.numpy()[~valid].any()
