"""Distributions of actions against torch.distributions."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical as Reference
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import AffineTransform, TanhTransform

from agents.ppo.distributions import Categorical, DiagonalGaussian, SquashedGaussian


def _uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)).clamp(1e-6, 1 - 1e-6)


def test_categories_equal_the_reference() -> None:
    sizes = (3, 2, 4)
    ours, outputs = Categorical(sizes), torch.randn(5, 6, 9)
    actions = ours.sample(outputs, ours.random(_uniform(5, 6, 9)))
    log_prob, entropy = ours.log_prob_entropy(outputs, actions)
    references = [Reference(logits=part) for part in outputs.split(sizes, -1)]
    expected = sum(reference.log_prob(actions[..., i]) for i, reference in enumerate(references))
    torch.testing.assert_close(log_prob, expected)
    torch.testing.assert_close(entropy, sum(reference.entropy() for reference in references))


def test_samples_have_the_probabilities_of_the_policy() -> None:
    ours, outputs = Categorical((4,)), torch.tensor([0.3, -1.0, 2.0, 0.0])
    actions = ours.sample(outputs.expand(200_000, 4), ours.random(_uniform(200_000, 4)))
    shares = torch.bincount(actions[:, 0], minlength=4) / 200_000
    torch.testing.assert_close(shares, outputs.softmax(-1), rtol=0, atol=0.004)


@pytest.mark.parametrize("sizes", [(4,), (2, 3)])
def test_illegal_options_have_probability_zero_and_no_gradient(sizes: tuple[int, ...]) -> None:
    ours, total = Categorical(sizes), sum(sizes)
    outputs = torch.randn(1000, total, requires_grad=True)
    mask = torch.rand(1000, total, generator=torch.Generator().manual_seed(2)) < 0.5
    start = 0
    for size in sizes:  # each category has a legal option
        mask[:, start] = True
        start += size
    actions = ours.sample(outputs.detach(), ours.random(_uniform(1000, total)), mask)
    start = 0
    for index, size in enumerate(sizes):
        assert mask[:, start : start + size].gather(1, actions[:, index : index + 1]).all()
        start += size
    log_prob, entropy = ours.log_prob_entropy(outputs, actions, mask)
    low = torch.where(mask, outputs, -math.inf)
    references = [Reference(logits=part) for part in low.split(sizes, -1)]
    expected = sum(reference.log_prob(actions[:, i]) for i, reference in enumerate(references))
    torch.testing.assert_close(log_prob, expected)
    (log_prob.sum() + entropy.sum()).backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    assert not outputs.grad[~mask].any()


def test_gaussian_equals_the_reference() -> None:
    ours, outputs = DiagonalGaussian(3), torch.randn(7, 6)
    actions = ours.sample(outputs, ours.random(_uniform(7, 3)))
    mean, log_std = outputs.chunk(2, -1)
    reference = Independent(Normal(mean, log_std.exp()), 1)
    log_prob, entropy = ours.log_prob_entropy(outputs, actions)
    torch.testing.assert_close(log_prob, reference.log_prob(actions))
    torch.testing.assert_close(entropy, reference.entropy())
    draws = ours.sample(outputs[0].expand(100_000, 6), ours.random(_uniform(100_000, 3)))
    torch.testing.assert_close(draws.mean(0), mean[0], rtol=0, atol=0.05)
    torch.testing.assert_close(draws.std(0), log_std[0].exp(), rtol=0.02, atol=0)


def test_squashed_gaussian_equals_the_reference_and_stays_within_bounds() -> None:
    low, high = torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0])
    ours, outputs = SquashedGaussian(low, high), torch.randn(9, 4).double()
    outputs[:, 2:] = outputs[:, 2:].clamp(-2.0, 0.5)
    raw = ours.sample(outputs, ours.random(_uniform(9, 2)).double())
    mean, log_std = outputs.chunk(2, -1)
    reference = TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1), [TanhTransform()])
    log_prob, entropy = ours.log_prob_entropy(outputs, raw)
    torch.testing.assert_close(log_prob, reference.log_prob(raw.tanh()), rtol=1e-6, atol=1e-6)
    scaled = AffineTransform((low + high) / 2, (high - low) / 2)(raw.tanh())
    torch.testing.assert_close(ours.to_environment(raw), scaled)
    assert (ours.to_environment(1e3 * raw) <= high).all() and (ours.to_environment(-1e3 * raw.abs()) >= low).all()
    draws = mean + log_std.exp() * torch.randn(200_000, 9, 2, dtype=torch.float64)
    sampled = -reference.log_prob(draws.tanh().clamp(-1 + 1e-12, 1 - 1e-12)).mean(0)
    torch.testing.assert_close(entropy, sampled, rtol=0, atol=0.03)
