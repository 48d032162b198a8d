"""Generalized advantage estimation over rollouts in which episodes end anywhere."""

import torch
from torch import Tensor


def generalized_advantages(
    *,
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    ended: Tensor,
    valid: Tensor,
    discount: float,
    gae_lambda: float,
) -> Tensor:
    """Advantages [T, N] of T steps of N environments (Schulman et al. 2016, equation 16).

    rewards, values: [T, N], values of the observations acted on. next_values: [T, N], of the observation after each
    step; where an episode ends, of its final observation, not of the next episode's first. terminated: bool [T, N], the
    value after the step is 0. ended: bool [T, N], terminated or truncated: later steps belong to another episode.
    valid: bool [T, N]; rows that are no step of an episode get the advantage 0 and pass nothing on.
    """
    deltas = rewards + discount * next_values.masked_fill(terminated, 0.0) - values
    deltas = deltas.masked_fill(~valid, 0.0)
    decay = (discount * gae_lambda) * (valid & ~ended).to(deltas.dtype)
    advantages = torch.empty_like(deltas)
    following = torch.zeros_like(deltas[0])
    for step in range(len(deltas) - 1, -1, -1):
        following = torch.addcmul(deltas[step], decay[step], following, out=advantages[step])
    return advantages
