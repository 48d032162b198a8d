"""Forced playouts at the root of PUCT, and policy targets without them (Wu 2019, section 3.2).

Root noise makes the search look at moves that the network overlooks, but one visit often ends the look. Forced playouts
give each visited move a least number of visits, which grows with its noised prior. The visits that only the force
explains are then removed from the training target, so that the network does not learn the noise.
"""

import torch
from torch import Tensor

from agents.search.tree import NodeStats


def forced_visits(stats: NodeStats, k: float) -> Tensor:
    """float32 `[R, K]`: the least visits of each visited slot, sqrt(k P N); k is 2 in KataGo."""
    return torch.sqrt(k * stats.prior * stats.visits.sum(-1, keepdim=True))


def is_forced(stats: NodeStats, k: float) -> Tensor:
    """bool `[R, K]`: visited slots with fewer visits than `forced_visits`."""
    return (stats.visits > 0) & (stats.visits < forced_visits(stats, k))


def pruned_visits(stats: NodeStats, k: float, *, q: Tensor, exploration: Tensor) -> Tensor:
    """float32 `[R, K]`: whole visit counts without those that were forced.

    From each slot but the most visited one, up to its forced visits are subtracted while its upper confidence bound
    stays below that of the most visited slot. A slot that is left with one visit loses it too.

    q: float32 `[R, K]`, mean returns. exploration: float32 `[R, K]`, c(N) P sqrt(N), the bound's second term times
    1 + n.
    """
    visits = stats.visits
    most = visits.argmax(-1, keepdim=True)
    bound = (q + exploration / (1.0 + visits)).gather(-1, most)
    # The bound of a slot with w visits is that of the best slot for w = exploration / (bound - q) - 1.
    gap = bound - q
    wanted = torch.where(gap > 0, exploration / gap.clamp_min(1e-12) - 1.0, visits).ceil()
    least = torch.minimum(torch.maximum(wanted, visits - forced_visits(stats, k).ceil()), visits)
    left = torch.where(least > 1.0, least, 0.0)
    return left.scatter(-1, most, visits.gather(-1, most))
