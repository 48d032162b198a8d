"""What is recorded of the steps of environments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agents.environments.observations import Arrays


class Trajectories(NamedTuple):
    """T steps of n environments as they were collected, [T, n, ...] each; tensors are on the device of the network.

    observations: raw, as the environments' codec writes them. mask: bool [T, n, M], M = 0 without masks. starts: bool,
    the first step of an episode. rewards: float64. valid: bool, false in rows that are no step of an episode. lost:
    bool, the environment died. actions [T, n, D], log_probs, values: of the policy that acted. next_values: of the
    observation after each step; where an episode ends, of its final observation. states: [C, n, S], the recurrent state
    before each of the C sequences; S = 0 without a recurrent layer. dropped: bool [n], the environment was replaced
    before the first step, and the episode that it was in will not end.

    Arrays belong to the collector, which writes over them when it collects again.
    """

    observations: Arrays
    mask: NDArray[np.bool_]
    starts: NDArray[np.bool_]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    next_values: Tensor
    states: Tensor
    dropped: NDArray[np.bool_]


class Rollout(NamedTuple):
    """T steps of N environments, [T, N, ...] each, on the device of the network.

    observations: as `ActorCritic.prepare` returns them. mask: bool [T, N, M], M = 0 without masks. actions [T, N, D],
    log_probs, values, advantages: of the policy that acted. valid: bool, false in rows that are no step of an episode.
    starts: bool, the first step of an episode. states: [C, N, S], the recurrent state before each of the rollout's C
    sequences; S = 0 without a recurrent layer.
    """

    observations: dict[str, Tensor]
    mask: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    valid: Tensor
    starts: Tensor
    states: Tensor


@dataclass
class Episodes:
    """Episodes that ended: their undiscounted returns and lengths, and how many were dropped with an environment."""

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    dropped: int = 0
