"""Fused layers against torch's own operations: values, gradients and second derivatives."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gans.effective_weights import Effective, effective, enlarging, weights_kept
from gans.progressive.config import NetworkConfig
from gans.progressive.fused.conv import fused_conv
from gans.progressive.fused.dense import fused_dense
from gans.progressive.fused.deviation import deviation
from gans.progressive.fused.norm import conv_norm, leaky_norm
from gans.progressive.network import Discriminator
from lab.nets.init import EQUALIZED
from lab.nets.layers import Conv2d


def tensors(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def layer(weight: Tensor, bias: Tensor) -> Effective:
    return Effective(weight, bias, weight.detach(), bias.detach())


def conv(x: Tensor, weight: Tensor, bias: Tensor, pool: bool) -> Tensor:
    return fused_conv(x, layer(weight, bias), pool=pool)


def plain_conv(x: Tensor, weight: Tensor, bias: Tensor, pool: bool) -> Tensor:
    y = F.leaky_relu(F.conv2d(x, weight, bias, padding=weight.shape[2] // 2), 0.2)
    return F.avg_pool2d(y, 2) if pool else y


def pixel_norm(y: Tensor) -> Tensor:
    return y / (y.square().mean(1, keepdim=True) + 1e-8).sqrt()


def penalty(score: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """A loss and the squared gradient of its first input, so that every path of the second pass is taken."""
    total = score(*inputs).square().sum()
    (gradient,) = torch.autograd.grad(total, inputs[0], create_graph=True)
    return gradient.square().sum() + total


def assert_same_gradients(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], inputs: list[Tensor]) -> None:
    one, other = ours(*inputs), theirs(*inputs)
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    for found, expected in zip(torch.autograd.grad(one, inputs), torch.autograd.grad(other, inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("side", [4, 6])  # patches and the convolution's own operator
@pytest.mark.parametrize("kernel", [3, 1])
@pytest.mark.parametrize("pool", [False, True])
def test_a_convolution_has_torch_s_second_derivative(side: int, kernel: int, pool: bool) -> None:
    inputs = tensors((3, 4, side, side), (5, 4, kernel, kernel), (5,))
    assert_same_gradients(
        lambda x, w, b: penalty(lambda x, w, b: conv(x, w, b, pool), x, w, b),
        lambda x, w, b: penalty(lambda x, w, b: plain_conv(x, w, b, pool), x, w, b),
        inputs,
    )


def test_an_offset_has_torch_s_second_derivative() -> None:
    """The offset depends on the input, as the minibatch statistic does."""

    def ours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return fused_conv(x, layer(weight, bias), offset=x.square().mean((1, 2, 3), keepdim=True).expand(3, 5, 4, 4))

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.leaky_relu(F.conv2d(x, weight, bias, padding=1) + x.square().mean((1, 2, 3), keepdim=True), 0.2)

    inputs = tensors((3, 4, 4, 4), (5, 4, 3, 3), (5,))
    assert_same_gradients(lambda *a: penalty(ours, *a), lambda *a: penalty(plain, *a), inputs)


@pytest.mark.parametrize("leaky", [False, True])
def test_a_dense_layer_has_torch_s_second_derivative(leaky: bool) -> None:
    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        y = F.linear(x, weight * 0.3, bias)
        return F.leaky_relu(y, 0.2) if leaky else y

    assert_same_gradients(
        lambda *a: penalty(lambda x, w, b: fused_dense(x, w, b, 0.3, leaky=leaky), *a),
        lambda *a: penalty(plain, *a),
        tensors((3, 6), (4, 6), (4,)),
    )


def test_a_deviation_has_torch_s_second_derivative() -> None:
    def plain(x: Tensor) -> Tensor:
        grouped = x.view(2, 3, *x.shape[1:])
        return (grouped.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))

    assert_same_gradients(
        lambda x: penalty(lambda y: deviation(y, 3), x), lambda x: penalty(plain, x), tensors((6, 2, 3, 3))
    )


@pytest.mark.parametrize("transposed", [False, True])
def test_a_normalised_convolution_has_torch_s_gradients(transposed: bool) -> None:
    def ours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        form = enlarging(weight) if transposed else weight
        return (conv_norm(x, layer(form, bias), transposed=transposed) * factors).sum()

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest") if transposed else x
        return (pixel_norm(F.leaky_relu(F.conv2d(x, weight, bias, padding=1), 0.2)) * factors).sum()

    *inputs, factors = tensors((3, 4, 4, 4), (5, 4, 3, 3), (5,), (3, 5, 8, 8) if transposed else (3, 5, 4, 4))
    factors = factors.detach()
    assert_same_gradients(ours, plain, inputs)


def test_pixel_norm_against_numpy() -> None:
    x = torch.randn(2, 5, 3, 3)
    leaky = np.where(x.numpy() > 0, x.numpy(), 0.2 * x.numpy())
    expected = leaky / np.sqrt((leaky**2).mean(1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(leaky_norm(x).numpy(), expected, rtol=1e-5)


def test_effective_weights_are_computed_once_inside_the_block() -> None:
    one = Conv2d(2, 3, 3, init=EQUALIZED)
    with weights_kept():
        kept = effective(one, torch.float32)
        assert effective(one, torch.float32) is kept
        with torch.no_grad():
            assert not effective(one, torch.float32).weight.requires_grad
    assert effective(one, torch.float32) is not kept and kept.weight.requires_grad
    torch.testing.assert_close(kept.weight, one.weight * one.weight_scale)


def test_scores_and_gradients_under_autocast_are_near_those_of_float32() -> None:
    torch.manual_seed(0)
    network = Discriminator(NetworkConfig(resolution=16, fmap_base=256, fmap_max=32, latent=8))
    images = torch.randn(8, 3, 16, 16, requires_grad=True)
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            scores = network(images, 2)
        loss = scores.sum() + torch.autograd.grad(scores.sum(), images, create_graph=True)[0].square().sum()
        found.append([scores, *torch.autograd.grad(loss, list(network.parameters())[2:], allow_unused=True)])
    for exact, rounded in zip(*found, strict=True):
        if exact is not None:
            assert rounded.dtype == torch.float32
            assert float((exact - rounded).detach().norm() / exact.detach().norm()) < 0.1
