"""Distributions over actions, computed from the outputs of a policy network.

All functions broadcast over leading dimensions [...]. Samples are functions of given random numbers, so that a rollout
draws the numbers of all its steps at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from agents.environments.actions import ActionSpec

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_NODES = 9


class Evaluated(NamedTuple):
    """Log-probability (density) of actions and entropy in nats [...], with the vector-Jacobian product of both.

    pull_back: gradients by log-probability and by entropy (None: zero) [...] -> gradient by the outputs [..., P].
    """

    log_prob: Tensor
    entropy: Tensor
    pull_back: Callable[[Tensor, Tensor | None], Tensor]


class ActionDistribution(Protocol):
    """A family of distributions over the actions of a space.

    outputs: [..., `outputs`], what the network computes. mask: bool [..., M], false for illegal options, or None.
    actions: [..., D] int64 or float32.
    """

    outputs: int
    noise: int

    def random(self, uniform: Tensor) -> Tensor:
        """The random numbers of samples [..., `noise`] from uniform ones inside (0, 1)."""
        ...

    def sample(self, outputs: Tensor, random: Tensor, mask: Tensor | None = None) -> Tensor:
        """Actions drawn with `random` [..., `noise`]."""
        ...

    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The deterministic actions: the most probable options, or the mean (of a squashed Gaussian its tanh)."""
        ...

    def log_prob_entropy(self, outputs: Tensor, actions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-probability (density) of actions, and the distribution's entropy in nats: both [...].

        Both are those before actions are scaled to the bounds of the space.
        """
        ...

    def evaluate(self, outputs: Tensor, actions: Tensor, mask: Tensor | None = None) -> Evaluated:
        """`log_prob_entropy` with its gradient in closed form, for outputs [B, P] without a graph."""
        ...

    def to_environment(self, actions: Tensor) -> Tensor:
        """Actions as the environment takes them, before clipping to the bounds of the space."""
        ...


class Categorical:
    """Independent categories, one per entry of `sizes`; illegal options have probability 0.

    Actions are drawn by adding Gumbel noise to the logits (Gumbel 1954; Maddison et al. 2014).
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self.outputs = self.noise = sum(sizes)

    def random(self, uniform: Tensor) -> Tensor:
        return -torch.log(-torch.log(uniform))

    def sample(self, outputs: Tensor, random: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.mode(outputs + random, mask)

    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        logits = _masked(outputs, mask)
        if len(self.sizes) == 1:
            return logits.argmax(-1, keepdim=True)
        return torch.stack([part.argmax(-1) for part in logits.split(self.sizes, -1)], -1)

    def log_prob_entropy(self, outputs: Tensor, actions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        logits = _masked(outputs, mask)
        if len(self.sizes) == 1:
            log_probs = logits.log_softmax(-1)
            return log_probs.gather(-1, actions)[..., 0], _entropy(log_probs)
        chosen, entropies = [], []
        for index, part in enumerate(logits.split(self.sizes, -1)):
            log_probs = part.log_softmax(-1)
            chosen.append(log_probs.gather(-1, actions[..., index : index + 1])[..., 0])
            entropies.append(_entropy(log_probs))
        return torch.stack(chosen).sum(0), torch.stack(entropies).sum(0)

    def evaluate(self, outputs: Tensor, actions: Tensor, mask: Tensor | None = None) -> Evaluated:
        logits = _masked(outputs, mask)
        if len(self.sizes) == 1:
            return _evaluate_one(logits, actions)
        columns = actions.split(1, -1)
        parts = [_evaluate_one(part, own) for part, own in zip(logits.split(self.sizes, -1), columns, strict=True)]

        def pull_back(grad_log_prob: Tensor, grad_entropy: Tensor | None) -> Tensor:
            return torch.cat([part.pull_back(grad_log_prob, grad_entropy) for part in parts], -1)

        log_prob = torch.stack([part.log_prob for part in parts]).sum(0)
        return Evaluated(log_prob, torch.stack([part.entropy for part in parts]).sum(0), pull_back)

    def to_environment(self, actions: Tensor) -> Tensor:
        return actions

    def probabilities(self, outputs: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Probabilities [..., n] of each category's options."""
        return [part.softmax(-1) for part in _masked(outputs, mask).split(self.sizes, -1)]


class DiagonalGaussian:
    """Independent normal distributions; the network's outputs are means and logarithms of standard deviations."""

    def __init__(self, columns: int) -> None:
        self.outputs, self.noise = 2 * columns, columns

    def random(self, uniform: Tensor) -> Tensor:
        return math.sqrt(2.0) * torch.erfinv(2.0 * uniform - 1.0)

    def sample(self, outputs: Tensor, random: Tensor, mask: Tensor | None = None) -> Tensor:
        mean, log_std = outputs.chunk(2, -1)
        return mean + log_std.exp() * random

    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return outputs.chunk(2, -1)[0]

    def log_prob_entropy(self, outputs: Tensor, actions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, log_std = outputs.chunk(2, -1)
        scaled = (actions - mean) * (-log_std).exp()
        log_prob = -(0.5 * scaled.square() + log_std + _LOG_SQRT_2PI).sum(-1)
        return log_prob, (log_std + (0.5 + _LOG_SQRT_2PI)).sum(-1)

    def evaluate(self, outputs: Tensor, actions: Tensor, mask: Tensor | None = None) -> Evaluated:
        mean, log_std = outputs.chunk(2, -1)
        inverse = (-log_std).exp()
        scaled = (actions - mean) * inverse
        squares = scaled.square()
        sums = log_std.sum(-1)
        constant = self.noise * _LOG_SQRT_2PI

        def pull_back(grad_log_prob: Tensor, grad_entropy: Tensor | None) -> Tensor:
            weight = grad_log_prob[..., None]
            grad_log_std = (squares - 1.0) * weight
            if grad_entropy is not None:
                grad_log_std += grad_entropy[..., None]
            return torch.cat([scaled.mul_(inverse).mul_(weight), grad_log_std], -1)

        return Evaluated(squares.sum(-1).mul(-0.5) - sums - constant, sums + (0.5 * self.noise + constant), pull_back)

    def to_environment(self, actions: Tensor) -> Tensor:
        return actions


class SquashedGaussian(DiagonalGaussian):
    """A diagonal Gaussian whose samples go through tanh and are scaled to bounded actions.

    Stored actions are those before tanh, whose inverse is not stable. The log-probability is that of tanh(action)
    (Haarnoja et al. 2018, appendix C). The entropy has no closed form; it is the Gaussian's plus the mean logarithm of
    tanh's slope, by Gauss-Hermite quadrature in each dimension.
    """

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__(len(low))
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        self._nodes = torch.from_numpy(nodes).float()
        self._weights = torch.from_numpy(weights / weights.sum()).float()
        self._middle, self._half = (high + low) / 2.0, (high - low) / 2.0

    def log_prob_entropy(self, outputs: Tensor, actions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_prob, entropy = super().log_prob_entropy(outputs, actions)
        mean, log_std = outputs.chunk(2, -1)
        nodes, weights = self._nodes.to(outputs), self._weights.to(outputs)
        slopes = _log_slope(mean[..., None] + log_std.exp()[..., None] * nodes) @ weights
        return log_prob - _log_slope(actions).sum(-1), entropy + slopes.sum(-1)

    def evaluate(self, outputs: Tensor, actions: Tensor, mask: Tensor | None = None) -> Evaluated:
        gaussian = super().evaluate(outputs, actions)
        mean, log_std = outputs.chunk(2, -1)
        nodes, weights = self._nodes.to(outputs), self._weights.to(outputs)
        spread = log_std.exp()[..., None] * nodes
        points = mean[..., None] + spread

        def pull_back(grad_log_prob: Tensor, grad_entropy: Tensor | None) -> Tensor:
            gradient = gaussian.pull_back(grad_log_prob, grad_entropy)
            if grad_entropy is None:
                return gradient
            slopes = points.tanh() * -2.0  # the derivative of log(1 - tanh(x)**2)
            parts = torch.cat([slopes @ weights, (slopes * spread) @ weights], -1)
            return gradient.addcmul_(parts, grad_entropy[..., None])

        slopes = (_log_slope(points) @ weights).sum(-1)
        return Evaluated(gaussian.log_prob - _log_slope(actions).sum(-1), gaussian.entropy + slopes, pull_back)

    def to_environment(self, actions: Tensor) -> Tensor:
        return self._middle.to(actions) + self._half.to(actions) * actions.tanh()


def make_distribution(spec: ActionSpec, squash: bool) -> Categorical | DiagonalGaussian:
    """The distribution over the actions of a space; `squash` needs numbers with bounds."""
    if not spec.continuous:
        return Categorical(spec.sizes)
    if squash:
        return SquashedGaussian(torch.from_numpy(spec.low), torch.from_numpy(spec.high))
    return DiagonalGaussian(spec.columns)


def _log_slope(x: Tensor) -> Tensor:
    """log(1 - tanh(x)**2), stable for large x."""
    return 2.0 * (math.log(2.0) - x - F.softplus(-2.0 * x))


def _entropy(log_probs: Tensor) -> Tensor:
    return -(log_probs.exp() * log_probs).sum(-1)


def _evaluate_one(logits: Tensor, actions: Tensor) -> Evaluated:
    """One category: logits [B, options], actions [B, 1]."""
    log_probs = logits.log_softmax(-1)
    probs = log_probs.exp()
    entropy = (probs * log_probs).sum(-1).neg_()

    def pull_back(grad_log_prob: Tensor, grad_entropy: Tensor | None) -> Tensor:
        weight = grad_log_prob[:, None]
        if grad_entropy is None:
            gradient = probs * -weight
        else:
            gradient = probs * -torch.addcmul(weight, log_probs + entropy[:, None], grad_entropy[:, None])
        return gradient.scatter_add_(-1, actions, weight)

    return Evaluated(log_probs.gather(-1, actions)[:, 0], entropy, pull_back)


def _masked(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Logits with those of illegal options so low that their probability is exactly 0."""
    return logits if mask is None else logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
