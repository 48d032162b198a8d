"""Annealed importance sampling of the partition function of a restricted Boltzmann machine."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.milestones.rbm import RBM, draw


class Estimate(NamedTuple):
    """log Z in nats; `low` and `high` are three standard errors of Z away from it, and `low` may be -inf."""

    log_partition: float
    low: float
    high: float


def inverse_temperatures(count: int) -> Tensor:
    """`count` values from 0 to 1, half of them above 0.9, where the distribution changes most."""
    first, second = count // 10, count // 2 - count // 10
    parts = [
        torch.linspace(0.0, 0.5, first + 1)[:-1],
        torch.linspace(0.5, 0.9, second + 1)[:-1],
        torch.linspace(0.9, 1.0, count - first - second),
    ]
    return torch.cat(parts)


@torch.no_grad()
def estimate_log_partition(
    rbm: RBM, base_bias: Tensor, *, chains: int, temperatures: Tensor, generator: torch.Generator
) -> Estimate:
    """Estimate log Z with `chains` independent chains from units of biases `base_bias` [V] to the RBM.

    temperatures: increasing inverse temperatures [K] from 0 to 1. Salakhutdinov and Murray 2008, "On the quantitative
    analysis of deep belief networks": the distribution at b is proportional to
    exp((1 - b) base_bias v) times that of the RBM with all parameters multiplied by b.
    """
    visible = draw(torch.sigmoid(base_bias).expand(chains, -1), generator)
    log_weights = torch.zeros(chains, dtype=torch.float64)
    difference = rbm.visible_bias - base_bias
    inputs = torch.addmm(rbm.hidden_bias, visible, rbm.weights)
    for colder, warmer in zip(temperatures[1:].tolist(), temperatures[:-1].tolist(), strict=True):
        log_weights += (colder - warmer) * (visible @ difference).double()
        log_weights += (F.softplus(colder * inputs) - F.softplus(warmer * inputs)).sum(1, dtype=torch.float64)
        hidden = draw(torch.sigmoid(colder * inputs), generator)
        fields = base_bias + colder * (difference + hidden @ rbm.weights.T)
        visible = draw(torch.sigmoid(fields), generator)
        inputs = torch.addmm(rbm.hidden_bias, visible, rbm.weights)
    start = float(F.softplus(base_bias.double()).sum()) + len(rbm.hidden_bias) * math.log(2.0)
    most = log_weights.max()
    ratios = (log_weights - most).exp()
    mean, error = float(ratios.mean()), float(ratios.std()) / math.sqrt(chains)
    low, high = mean - 3.0 * error, mean + 3.0 * error
    shift = start + float(most)
    return Estimate(shift + math.log(mean), shift + math.log(low) if low > 0.0 else -math.inf, shift + math.log(high))
