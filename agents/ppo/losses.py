"""The losses of PPO (Schulman et al. 2017, equation 9) with their gradients in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from agents.ppo.distributions import ActionDistribution


class Coefficients(NamedTuple):
    """Of the loss at this point of the schedules. clip_value: None where values are not clipped."""

    clip_ratio: float
    clip_value: float | None
    value_weight: float
    entropy_weight: float


class Targets(NamedTuple):
    """What the losses of B steps need besides outputs and values; weight [B] adds up to 1 over the whole minibatch."""

    mask: Tensor | None
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    weight: Tensor


class Losses(NamedTuple):
    """Weighted sums over steps, 0-d each; `total` is what is minimised."""

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    kl: Tensor
    clip_fraction: Tensor


def losses(
    distribution: ActionDistribution, outputs: Tensor, values: Tensor, targets: Targets, coefficients: Coefficients
) -> Losses:
    """The losses of outputs [B, ..., P] and values [B, ...], which autograd differentiates."""
    log_probs, entropies = distribution.log_prob_entropy(outputs, targets.actions, targets.mask)
    log_ratio = log_probs - targets.log_probs
    ratio = log_ratio.exp()
    clip, weight, advantages = coefficients.clip_ratio, targets.weight, targets.advantages
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(1.0 - clip, 1.0 + clip) * advantages)
    policy = -(surrogate * weight).sum()
    value = (value_errors(values, targets, coefficients.clip_value) * weight).sum()
    entropy = (entropies * weight).sum()
    total = policy + coefficients.value_weight * value
    if coefficients.entropy_weight:
        total = total - coefficients.entropy_weight * entropy
    with torch.no_grad():
        # http://joschu.net/blog/kl-approx.html: the third estimator, which is never negative.
        kl = ((ratio - 1.0 - log_ratio) * weight).sum()
        clip_fraction = (((ratio - 1.0).abs() > clip) * weight).sum()
    return Losses(total, policy.detach(), value.detach(), entropy.detach(), kl, clip_fraction)


@torch.no_grad()
def losses_and_gradients(
    distribution: ActionDistribution, outputs: Tensor, values: Tensor, targets: Targets, coefficients: Coefficients
) -> tuple[Losses, Tensor, Tensor]:
    """`losses` of outputs [B, P] and values [B], and the gradients of the total by both."""
    clip, weight, advantages = coefficients.clip_ratio, targets.weight, targets.advantages
    found = distribution.evaluate(outputs, targets.actions, targets.mask)
    log_ratio = found.log_prob - targets.log_probs
    ratio = log_ratio.exp()
    surrogate = ratio * advantages
    clipped_surrogate = ratio.clamp(1.0 - clip, 1.0 + clip).mul_(advantages)
    # Where the clipped surrogate is the lower one, it does not depend on the policy.
    grad_log_prob = (surrogate * weight).neg_().mul_(surrogate <= clipped_surrogate)
    grad_entropy = weight * -coefficients.entropy_weight if coefficients.entropy_weight else None
    grad_outputs = found.pull_back(grad_log_prob, grad_entropy)
    errors = values - targets.returns
    grad_values = errors * weight
    squares = errors.square_()
    if coefficients.clip_value is not None:
        change = values - targets.values
        clipped = change.clamp(-coefficients.clip_value, coefficients.clip_value)
        inside = clipped == change
        clipped = clipped.add_(targets.values).sub_(targets.returns).square_()
        grad_values.mul_(inside | (squares >= clipped))
        squares = torch.maximum(squares, clipped)
    grad_values.mul_(2.0 * coefficients.value_weight)
    policy = torch.dot(torch.minimum(surrogate, clipped_surrogate), weight).neg_()
    value, entropy = torch.dot(squares, weight), torch.dot(found.entropy, weight)
    total = torch.add(policy, value, alpha=coefficients.value_weight)
    if coefficients.entropy_weight:
        total.sub_(entropy, alpha=coefficients.entropy_weight)
    kl = torch.dot(ratio - 1.0 - log_ratio, weight)
    clip_fraction = torch.dot(((ratio - 1.0).abs_() > clip).to(weight.dtype), weight)
    return Losses(total, policy, value, entropy, kl, clip_fraction), grad_outputs, grad_values


def value_errors(values: Tensor, targets: Targets, clip: float | None) -> Tensor:
    """Squared errors of values; with `clip` the larger of these and of the values clipped around the old ones."""
    errors = (values - targets.returns).square()
    if clip is None:
        return errors
    clipped = targets.values + (values - targets.values).clamp(-clip, clip)
    return torch.maximum(errors, (clipped - targets.returns).square())
