"""The whitening convolution: what it makes of patches, and that it stays as it was fitted."""

import torch

from lab.nets.whitening import Whitening


def images(count: int = 40) -> torch.Tensor:
    """Images whose neighbouring pixels and channels are correlated, off centre."""
    noise = torch.randn(count, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    smooth = noise + 2.0 * noise.roll(1, 3) + noise.mean(1, keepdim=True)
    return 0.2 * smooth + 0.3


def fitted(epsilon: float = 0.0) -> Whitening:
    layer = Whitening(3, epsilon=epsilon)
    layer.fit(images())
    return layer


def outputs(layer: Whitening) -> torch.Tensor:
    """[outputs, patches] of the fitted images."""
    return layer(images()).detach().double().transpose(0, 1).flatten(1)


def test_patches_get_zero_mean_and_unit_covariance_and_both_signs() -> None:
    found = outputs(fitted())
    whitened, negative = found.chunk(2)
    torch.testing.assert_close(torch.cov(whitened, correction=0), torch.eye(12).double(), rtol=0.0, atol=1e-4)
    torch.testing.assert_close(whitened.mean(1), torch.zeros(12).double(), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(negative, -whitened)


def test_epsilon_is_a_fraction_of_the_mean_variance() -> None:
    # Variance v of a component becomes v / (v + epsilon * mean).
    patches = images().unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12).double()
    values = torch.linalg.eigvalsh(torch.cov(patches.mT, correction=0)).flip(0)
    expected = values / (values + 0.1 * values.mean())
    torch.testing.assert_close(outputs(fitted(0.1))[:12].var(1, correction=0), expected, rtol=1e-4, atol=1e-5)


def test_only_the_bias_is_trained() -> None:
    layer = fitted()
    layer(images()).square().sum().backward()
    assert layer.weight.grad is None and layer.bias is not None and layer.bias.grad is not None


def test_a_constant_set_gives_zeros() -> None:
    layer = Whitening(1)
    layer.fit(torch.full((4, 1, 5, 5), 0.7))
    assert not layer(torch.full((1, 1, 5, 5), 0.7)).any()


def test_autocast_rounds_the_output_alone() -> None:
    layer = fitted()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = layer(images())
    assert torch.equal(mixed, layer(images()).bfloat16())
