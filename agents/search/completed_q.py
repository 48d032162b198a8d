"""Q values completed by a mixed value estimate, and their transform (Danihelka et al. 2022, appendix D)."""

import torch
from torch import Tensor

from agents.search.tree import NodeStats

LARGEST_EXPONENT = 80.0
"""exp of up to this fits into float32, and so do the products with priors."""


def completed_q(stats: NodeStats) -> Tensor:
    """Mean returns [R, K], with the mixed value (equation 33) for actions without visits.

    The mixed value is the raw value averaged with the visited actions' mean return, weighted by the prior.
    """
    visited = stats.visits > 0
    q = stats.value_sum / stats.visits.clamp_min(1.0)
    prior = stats.prior.clamp_min(torch.finfo(torch.float32).tiny) * visited
    weighted = (prior * q).sum(-1) / prior.sum(-1).clamp_min(torch.finfo(torch.float32).tiny)
    visits = stats.visits.sum(-1)
    mixed = (stats.value + visits * weighted) / (visits + 1.0)
    return torch.where(visited, q, mixed[:, None])


def transform(q: Tensor, visits: Tensor, *, value_scale: float, visit_offset: float) -> Tensor:
    """Monotone transform sigma (equation 8) of completed Q values [R, K], after scaling each row to [0, 1]."""
    low, high = torch.aminmax(q, dim=-1, keepdim=True)
    scaled = (q - low) / (high - low).clamp_min(1e-8)
    return (visit_offset + visits.amax(-1, keepdim=True)) * value_scale * scaled


def improved_policy(stats: NodeStats, sigma: Tensor, max_sigma: float) -> Tensor:
    """softmax(logits + sigma) [R, K], the policy that improves on the prior (equation 11).

    sigma: [R, K] from `transform`, at most `max_sigma`. If exp(sigma) fits into float32, the result is the
    normalised prior * exp(sigma), since a softmax over such short rows costs more than all other steps of a choice.
    """
    if max_sigma > LARGEST_EXPONENT:
        return torch.softmax(stats.logits + sigma, -1)
    weight = stats.prior * torch.exp(sigma)
    return weight / weight.sum(-1, keepdim=True)
