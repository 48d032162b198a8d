"""The likelihood of a small deep belief network, exactly and by its variational bound."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.milestones.rbm import RBM, hidden_probabilities, log_partition, log_unnormalised, states, transposed

_ROWS = 64


class DeepBelief(NamedTuple):
    """A directed layer from h1 to v with the weights of `first`, below an RBM `top` over h1 and h2."""

    first: RBM
    top: RBM


class Likelihood(NamedTuple):
    """Means over the data in nats; the bound is never above the exact value."""

    exact: float
    bound: float


def stacked(first: RBM) -> DeepBelief:
    """The deep belief network that equals `first`: its top is `first` with its sides exchanged.

    Hinton, Osindero and Teh 2006, "A fast learning algorithm for deep belief nets", section 2.1: an infinite network
    with tied weights. Its bound is exact.
    """
    return DeepBelief(first, RBM(*(parameter.clone() for parameter in transposed(first))))


@torch.no_grad()
def likelihood(network: DeepBelief, visible: Tensor) -> Likelihood:
    """Mean log p(v) of visible [N, V] by enumeration of all h1, and its bound with q(h1 | v) of the first layer.

    The bound is E_q[log p(h1) + log p(v | h1)] + H(q); here all its sums are exact. h1 has
    at most 22 units.
    """
    first, top = network
    hidden = states(len(first.hidden_bias))
    log_prior = log_unnormalised(top, hidden).double() - log_partition(top)  # [S], log p(h1)
    fields = torch.addmm(first.visible_bias, hidden, first.weights.T)  # [S, V]
    normalisers = F.softplus(fields).sum(1, dtype=torch.float64)
    exact, bound = [], []
    for rows in visible.split(_ROWS):
        joint = log_prior + (rows @ fields.T).double() - normalisers  # [rows, S], log p(v, h1)
        exact.append(torch.logsumexp(joint, 1))
        q = hidden_probabilities(first, rows).double()
        log_q = q.log() @ hidden.T.double() + torch.log1p(-q) @ (1.0 - hidden).T.double()
        bound.append((log_q.exp() * (joint - log_q)).sum(1))
    return Likelihood(float(torch.cat(exact).mean()), float(torch.cat(bound).mean()))
