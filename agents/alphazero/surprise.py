"""Policy surprise weighting: positions whose search changed the network's mind are recorded more often.

KataGo's method (lightvector/KataGo, docs/KataGoMethods.md, "Policy Surprise Weighting"): of the weight of a game's
positions a part is uniform, a part in proportion to the KL divergence of the search policy from the network's policy,
and a small part to that of the values. A position of weight w is recorded floor(w) times, and once more with
probability w - floor(w).
"""

import torch
from torch import Tensor

from agents.search import Root, SearchResult
from lab import rng

POLICY_SHARE = 0.5
VALUE_SHARE = 0.1
_LITTLE_VALUE_SURPRISE = 0.01  # nats; below this mean the share of the values shrinks in proportion
_NEVER_CERTAIN = 1e-4
_NO_SURPRISE = 1e-9


def surprise(root: Root, result: SearchResult) -> Tensor:
    """float32 `[B, 2]` in nats, not negative: how much a search changed the policies and the values of B roots.

    Policies: KL(improved policy || network's policy without root noise). Values: KL between the chances to win
    (1 + value) / 2 after search and of the network.
    """
    log_prior = torch.log_softmax(torch.where(root.legal, root.logits, -torch.inf), -1)
    log_prior = torch.where(root.legal, log_prior, 0.0)
    policy = (torch.special.xlogy(result.policy, result.policy) - result.policy * log_prior).sum(-1)
    after, before = (((1.0 + v) / 2.0).clamp(_NEVER_CERTAIN, 1.0 - _NEVER_CERTAIN) for v in (result.value, root.value))
    value = after * torch.log(after / before) + (1.0 - after) * torch.log((1.0 - after) / (1.0 - before))
    return torch.stack([policy, value], -1).clamp_min(0.0)


def weights(surprises: Tensor, counted: Tensor) -> Tensor:
    """float64 [G, T]: weights of the positions of G games, of mean 1 over those that are counted.

    surprises: [G, T, 2] of `surprise`. counted: bool [G, T], positions whose policy is trained on; others have
    weight 1.
    """
    # float64, so that the rounding of a sum, which may depend on the batch, decides nothing.
    values = surprises.to(torch.float64) * counted[:, :, None]
    mean = values.sum(1, keepdim=True) / counted.sum(1).clamp_min(1)[:, None, None]
    relative = torch.where(mean > _NO_SURPRISE, values / mean.clamp_min(_NO_SURPRISE), 1.0)
    value_share = VALUE_SHARE * (mean[:, :, 1] / _LITTLE_VALUE_SURPRISE).clamp(max=1.0)
    uniform = 1.0 - POLICY_SHARE - value_share
    weighted = uniform + POLICY_SHARE * relative[:, :, 0] + value_share * relative[:, :, 1]
    return torch.where(counted, weighted, 1.0)


def copies(weight: Tensor, seed: int, game_id: Tensor) -> Tensor:
    """int64 [G, T]: how often each position is recorded, of mean `weight` [G, T]. game_id: int64 [G]."""
    column = torch.arange(weight.shape[1])
    chance = rng.uniform(seed, int(rng.Stream.SURPRISE), game_id[:, None], column)
    whole = weight.floor()
    return whole.to(torch.int64) + (chance < weight - whole)
