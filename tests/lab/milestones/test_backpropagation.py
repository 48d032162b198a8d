"""Backpropagation: the delta rule against autograd, the check against a wrong gradient, exclusive or."""

import torch

from lab.milestones.backpropagation import checked_cores, forward_backward, gradient_error, random_layers


def test_the_delta_rule_is_autograds_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    layers = random_layers(3, 4, starts=5, generator=generator)
    x = torch.rand(6, 3, generator=generator, dtype=torch.float64)
    targets = torch.rand(6, 1, generator=generator, dtype=torch.float64)
    parameters = (layers.hidden.requires_grad_(), layers.output.requires_grad_())
    half_squared = forward_backward(layers, x, targets).errors.sum() * (0.5 * len(x))
    hidden, output = torch.autograd.grad(half_squared, parameters)
    with torch.no_grad():
        gradients = forward_backward(layers, x, targets).gradients
    assert torch.allclose(gradients.hidden, hidden) and torch.allclose(gradients.output, output)


def test_the_check_finds_a_gradient_that_is_wrong() -> None:
    weight = torch.tensor([0.3, -0.7], dtype=torch.float64, requires_grad=True)
    assert gradient_error(lambda: weight.sin().sum(), [weight]) < 1e-9
    # detach hides one of the two factors from the gradient
    assert gradient_error(lambda: (weight * weight.detach()).sum(), [weight]) > 0.1


def test_the_core_networks_have_right_gradients() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        errors = checked_cores(torch.Generator().manual_seed(2))
    assert len(errors) == 5 and max(errors.values()) < 1e-6
