"""Moves by the lower confidence bound (LCB) of their value, as KataGo plays them.

The most visited move may be one whose value has just fallen, while a better one still catches up. The bound trusts a
move with fewer visits only as far as its returns agree with each other. For play and evaluation; self-play does not
use it.
"""

import torch
from torch import Tensor

from agents.search.solver import inferior
from agents.search.tree import NodeStats

_LEAST_SHARE = 0.15  # of the most visits, that a move must have (KataGo: minVisitPropForLCB)


def lower_confidence_bounds(stats: NodeStats, squares: Tensor, stdevs: float) -> Tensor:
    """float32 `[B, K]`: mean return minus `stdevs` standard deviations of the mean; -inf without visits.

    A further return of weight 1 / n**2 and a variance of 1, the largest of values in [-1, 1], keeps the bound of few
    visits low (KataGo: getSelfUtilityLCBAndRadius). What is proven has no deviation.
    squares: float32 `[B, K]`, sums of squared returns. stdevs: 5 in KataGo.
    """
    n = stats.visits.clamp_min(1.0)
    q = stats.value_sum / n
    variance = (squares / n - q.square()).clamp_min(1e-8)
    prior = 1.0 / n.square()
    variance = (variance * n + prior) / (n + prior)
    samples = (n + prior).square() / (n + prior.square())
    radius = stdevs * torch.sqrt(variance / samples)
    if stats.bounds is not None:
        radius = torch.where(stats.bounds.lower == stats.bounds.upper, 0.0, radius)
    return torch.where(stats.visits > 0, q - radius, -torch.inf)


def lcb_choice(stats: NodeStats, squares: Tensor, stdevs: float, otherwise: Tensor) -> Tensor:
    """int64 `[B]`: the slot with the largest bound among those with 0.15 of the most visits or more.

    otherwise: int64 `[B]`, slots for rows without visits. Arguments as in `lower_confidence_bounds`.
    """
    visits = stats.visits if stats.bounds is None else torch.where(inferior(stats), 0.0, stats.visits)
    most = visits.amax(-1, keepdim=True)
    eligible = (visits > 0) & (visits >= _LEAST_SHARE * most)
    bounds = torch.where(eligible, lower_confidence_bounds(stats, squares, stdevs), -torch.inf)
    return torch.where(most[:, 0] > 0, bounds.argmax(-1), otherwise)
