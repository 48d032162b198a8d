"""Learning of restricted Boltzmann machines: contrastive divergence, and its persistent form."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.data.order import indices
from lab.milestones.rbm import RBM, draw


@dataclass(frozen=True)
class Learning:
    """How an RBM learns.

    chains: 0 for contrastive divergence, which starts Gibbs sampling at the data (Hinton 2002); else the number of
    persistent chains (Tieleman 2008). gibbs_steps: per update. learning_rate: falls in a straight line to 0, as
    persistent chains need. visible_copies, hidden_copies: how often the other side's input counts; 2 where a layer of
    a deep Boltzmann machine stands in for two (Salakhutdinov and Hinton 2009, section 3.1).
    """

    epochs: int
    learning_rate: float
    batch_size: int = 100
    chains: int = 0
    gibbs_steps: int = 1
    momentum: float = 0.5
    weight_decay: float = 0.0
    visible_copies: int = 1
    hidden_copies: int = 1


def learn(
    rbm: RBM,
    data: Tensor,
    learning: Learning,
    *,
    seed: int,
    after_epoch: Callable[[int], None] | None = None,
) -> None:
    """Change the parameters of `rbm` in place so that it models `data` [N, V], probabilities or bits.

    Data that are probabilities are not sampled; hidden units are. after_epoch: called with the number of epochs done.
    """
    generator = torch.Generator().manual_seed(seed)
    velocity = RBM(*(torch.zeros_like(parameter) for parameter in rbm))
    chains = torch.rand(learning.chains, data.shape[1], generator=generator).round() if learning.chains else None
    per_epoch = max(1, len(data) // learning.batch_size)
    steps = learning.epochs * per_epoch
    for step in range(steps):
        rows = torch.from_numpy(indices(len(data), seed, step * learning.batch_size, learning.batch_size))
        visible = data[rows]
        hidden = torch.sigmoid(_hidden_input(rbm, visible, learning))
        start = draw(hidden, generator) if chains is None else None
        model_visible, model_hidden = _negative(rbm, chains, start, learning, generator)
        if chains is not None:
            chains = model_visible
        rate = learning.learning_rate * (1.0 - step / steps)
        gradient = RBM(
            visible.T @ hidden / len(visible) - model_visible.T @ model_hidden / len(model_visible),
            visible.mean(0) - model_visible.mean(0),
            hidden.mean(0) - model_hidden.mean(0),
        )
        for parameter, speed, slope in zip(rbm, velocity, gradient, strict=True):
            decay = learning.weight_decay if parameter.dim() > 1 else 0.0
            speed.mul_(learning.momentum).add_(slope - decay * parameter, alpha=rate)
            parameter += speed
        if after_epoch is not None and (step + 1) % per_epoch == 0:
            after_epoch((step + 1) // per_epoch)


def _negative(
    rbm: RBM, chains: Tensor | None, hidden: Tensor | None, learning: Learning, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Visible units [B, V] after the Gibbs steps and the probabilities of the hidden ones [B, H] given them.

    Contrastive divergence takes probabilities for the last visible units, which lowers the noise (Hinton 2012,
    section 3.2); a persistent chain takes samples.
    """
    if hidden is None:
        assert chains is not None
        hidden = draw(torch.sigmoid(_hidden_input(rbm, chains, learning)), generator)
    for number in range(learning.gibbs_steps):
        is_last = number + 1 == learning.gibbs_steps
        visible = torch.sigmoid(learning.hidden_copies * (hidden @ rbm.weights.T) + rbm.visible_bias)
        if chains is not None or not is_last:
            visible = draw(visible, generator)
        probabilities = torch.sigmoid(_hidden_input(rbm, visible, learning))
        if not is_last:
            hidden = draw(probabilities, generator)
    return visible, probabilities


def _hidden_input(rbm: RBM, visible: Tensor, learning: Learning) -> Tensor:
    return learning.visible_copies * (visible @ rbm.weights) + rbm.hidden_bias
