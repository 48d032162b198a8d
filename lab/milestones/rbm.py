"""The restricted Boltzmann machine: energies, conditional probabilities, and its partition function by enumeration.

Smolensky 1986 ("harmony theory"); notation of Hinton 2012, "A practical guide to training restricted Boltzmann
machines". E(v, h) = -v b - h c - v W h, units are 0 or 1.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_MOST_ENUMERATED = 22  # units; 2**22 states of 64 inputs take seconds
_CHUNK_BITS = 14


class RBM(NamedTuple):
    """weights: [V, H]; visible_bias: [V]; hidden_bias: [H]."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


def new_rbm(visible: Tensor, hidden: int, generator: torch.Generator, scale: float = 0.01) -> RBM:
    """An RBM of small random weights whose visible units have the mean of `visible` [N, V] (Hinton 2012, section 8)."""
    weights = scale * torch.randn(visible.shape[1], hidden, generator=generator)
    return RBM(weights, base_rates(visible), torch.zeros(hidden))


def base_rates(visible: Tensor) -> Tensor:
    """Biases [V] of independent units with the means of `visible` [N, V], smoothed by one observation."""
    mean = (visible.sum(0) + 0.5) / (len(visible) + 1.0)
    return torch.logit(mean)


def hidden_probabilities(rbm: RBM, visible: Tensor) -> Tensor:
    """P(h = 1 | v): [B, V] -> [B, H]."""
    return torch.sigmoid(torch.addmm(rbm.hidden_bias, visible, rbm.weights))


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Units that are 1 with their probability, as floats of the same shape."""
    return (torch.rand(probabilities.shape, generator=generator) < probabilities).to(probabilities.dtype)


def log_unnormalised(rbm: RBM, visible: Tensor) -> Tensor:
    """log of the sum over h of exp(-E(v, h)): [B, V] -> [B]; minus the free energy."""
    return visible @ rbm.visible_bias + F.softplus(torch.addmm(rbm.hidden_bias, visible, rbm.weights)).sum(1)


def transposed(rbm: RBM) -> RBM:
    """The same machine with its sides exchanged."""
    return RBM(rbm.weights.T.contiguous(), rbm.hidden_bias, rbm.visible_bias)


def log_partition(rbm: RBM) -> float:
    """log Z, exactly, by enumeration of the smaller side's states; the other side is summed in closed form.

    Raises ValueError beyond 22 units.
    """
    side = rbm if len(rbm.visible_bias) <= len(rbm.hidden_bias) else transposed(rbm)
    units = len(side.visible_bias)
    if units > _MOST_ENUMERATED:
        raise ValueError(f"{units} units have too many states to enumerate; at most {_MOST_ENUMERATED}")
    parts = [
        torch.logsumexp(log_unnormalised(side, chunk).double(), 0)
        for chunk in states(units, side.weights.dtype).split(2**_CHUNK_BITS)
    ]
    return float(torch.logsumexp(torch.stack(parts), 0))


def states(units: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """All states of `units` binary units, [2**units, units]."""
    return (torch.arange(2**units)[:, None] >> torch.arange(units) & 1).to(dtype)


def mean_log_likelihood(rbm: RBM, visible: Tensor, log_z: float) -> float:
    """Mean of log p(v) over visible [N, V], in nats."""
    return float(log_unnormalised(rbm, visible).double().mean()) - log_z
