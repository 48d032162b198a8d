"""The deep Boltzmann machine of two hidden layers: mean field, exact likelihood of small ones, and learning.

Salakhutdinov and Hinton 2009, "Deep Boltzmann machines". E = -v b - h1 c1 - h2 c2 - v W1 h1 - h1 W2 h2.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.order import indices
from lab.milestones.rbm import RBM, draw, states

_ROWS = 64


class DBM(NamedTuple):
    """first: [V, H1]; second: [H1, H2]; biases [V], [H1], [H2]."""

    first: Tensor
    second: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    top_bias: Tensor


def composed(first: RBM, second: RBM) -> DBM:
    """A DBM from two RBMs; units of the middle layer have the mean of their two biases."""
    middle = 0.5 * (first.hidden_bias + second.visible_bias)
    return DBM(
        first.weights.clone(), second.weights.clone(), first.visible_bias.clone(), middle, second.hidden_bias.clone()
    )


def as_rbm(dbm: DBM) -> RBM:
    """The same machine as an RBM: its visible units are v and h2, its hidden ones h1, for no two of a side connect."""
    return RBM(torch.cat([dbm.first, dbm.second.T]), torch.cat([dbm.visible_bias, dbm.top_bias]), dbm.hidden_bias)


def mean_field(dbm: DBM, visible: Tensor, updates: int) -> tuple[Tensor, Tensor]:
    """Means of h1 [B, H1] and h2 [B, H2] of the factorial posterior given visible [B, V], after some updates of both.

    The first update of h1 counts its input from v twice, in place of that from h2 (section 3.1).
    """
    below = visible @ dbm.first
    middle = torch.sigmoid(2.0 * below + dbm.hidden_bias)
    top = torch.sigmoid(middle @ dbm.second + dbm.top_bias)
    for _ in range(updates):
        middle = torch.sigmoid(below + top @ dbm.second.T + dbm.hidden_bias)
        top = torch.sigmoid(middle @ dbm.second + dbm.top_bias)
    return middle, top


def bounds(dbm: DBM, visible: Tensor, log_z: float, updates: int = 30) -> Tensor:
    """Lower bounds of log p(v) (nats) by mean field: visible [B, V] -> float64 [B]; section 2.2."""
    middle, top = mean_field(dbm, visible, updates)
    energy = (
        visible @ dbm.visible_bias
        + ((visible @ dbm.first + dbm.hidden_bias) * middle).sum(1)
        + ((middle @ dbm.second + dbm.top_bias) * top).sum(1)
    )
    return energy.double() + _entropy(middle) + _entropy(top) - log_z


def log_likelihoods(dbm: DBM, visible: Tensor, log_z: float) -> Tensor:
    """log p(v) (nats) by enumeration of all h1, at most 22 units: visible [B, V] -> float64 [B]."""
    hidden = states(len(dbm.hidden_bias))
    prior = F.softplus(torch.addmm(dbm.top_bias, hidden, dbm.second)).sum(1, dtype=torch.float64)
    found = [
        torch.logsumexp(((rows @ dbm.first + dbm.hidden_bias) @ hidden.T).double() + prior, 1)
        + (rows @ dbm.visible_bias).double()
        for rows in visible.split(_ROWS)
    ]
    return torch.cat(found) - log_z


def learn(
    dbm: DBM,
    data: Tensor,
    *,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    chains: int,
    mean_field_updates: int,
    gibbs_steps: int,
    seed: int,
    after_epoch: Callable[[int], None] | None = None,
) -> Tensor:
    """Change the parameters in place so that the DBM models bits `data` [N, V]; returns the chains' last v [chains, V].

    Algorithm 1 of the source: mean field for the data's statistics, persistent chains for the model's. The learning
    rate falls in a straight line to 0. after_epoch: called with the number of epochs done.
    """
    generator = torch.Generator().manual_seed(seed)
    visible = data[torch.randint(len(data), (chains,), generator=generator)]
    top = draw(mean_field(dbm, visible, 1)[1], generator)
    per_epoch = max(1, len(data) // batch_size)
    steps = epochs * per_epoch
    for step in range(steps):
        batch = data[torch.from_numpy(indices(len(data), seed, step * batch_size, batch_size))]
        middle_mean, top_mean = mean_field(dbm, batch, mean_field_updates)
        for _ in range(gibbs_steps):
            fields = visible @ dbm.first + top @ dbm.second.T + dbm.hidden_bias
            middle = draw(torch.sigmoid(fields), generator)
            visible = draw(torch.sigmoid(torch.addmm(dbm.visible_bias, middle, dbm.first.T)), generator)
            top = draw(torch.sigmoid(torch.addmm(dbm.top_bias, middle, dbm.second)), generator)
        gradient = DBM(
            batch.T @ middle_mean / len(batch) - visible.T @ middle / chains,
            middle_mean.T @ top_mean / len(batch) - middle.T @ top / chains,
            batch.mean(0) - visible.mean(0),
            middle_mean.mean(0) - middle.mean(0),
            top_mean.mean(0) - top.mean(0),
        )
        rate = learning_rate * (1.0 - step / steps)
        for parameter, slope in zip(dbm, gradient, strict=True):
            parameter.add_(slope, alpha=rate)
        if after_epoch is not None and (step + 1) % per_epoch == 0:
            after_epoch((step + 1) // per_epoch)
    return visible


def _entropy(mean: Tensor) -> Tensor:
    """Entropy (nats) of independent bits with means [B, H]: float64 [B]."""
    q = mean.double().clamp(1e-12, 1.0 - 1e-12)
    return -(q * q.log() + (1.0 - q) * torch.log1p(-q)).sum(1)
