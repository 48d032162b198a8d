"""Convolutions under a gradient penalty: torch's own values, whatever is asked of them."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.nets.layers import Conv2d
from lab.nets.second_order import conv2d, is_penalised, penalised


def tensors(kernel: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 4, 6, 5), (7, 4, kernel, kernel), (7,))
    x, weight, bias = (torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes)
    return x, weight, bias


def penalty(convolve: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
    """Of a network with a kink, a product and two convolutions, so that every path of the second pass is taken."""
    hidden = F.leaky_relu(convolve(x, weight, bias, padding), 0.2)
    second = convolve(hidden, weight.transpose(0, 1), None, padding)
    scores = (second.square().mean((1, 2, 3)) * hidden.mean((1, 2, 3))).sum()
    (gradient,) = torch.autograd.grad(scores, x, create_graph=True)
    return gradient.square().sum() + scores


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (1, 0), (3, 0)])
def test_a_penalty_s_gradients_are_torch_s(kernel: int, padding: int) -> None:
    inputs = tensors(kernel)
    ours = torch.autograd.grad(penalty(conv2d, *inputs, padding), inputs)
    theirs = torch.autograd.grad(penalty(lambda x, w, b, p: F.conv2d(x, w, b, padding=p), *inputs, padding), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-8)


def test_input_gradients_pass_gradgradcheck() -> None:
    x, weight, bias = tensors()
    assert torch.autograd.gradcheck(lambda x, weight, bias: conv2d(x, weight, bias, 1), (x, weight, bias))
    assert torch.autograd.gradgradcheck(lambda x: conv2d(x, weight.detach(), bias.detach(), 1), (x,))


def test_what_is_frozen_gets_no_gradient() -> None:
    x, weight, bias = tensors()
    conv2d(x, weight.detach(), bias, 1).sum().backward()
    assert x.grad is not None and bias.grad is not None
    conv2d(x.detach(), weight, None, 1).sum().backward()
    assert weight.grad is not None


def test_layers_take_it_up_inside_the_block_alone() -> None:
    layer, x = Conv2d(2, 3, 3), torch.randn(1, 2, 4, 4)
    with penalised():
        assert is_penalised() and "_Convolution" in type(layer(x).grad_fn).__name__
        assert "_Convolution" not in type(Conv2d(2, 3, 3, stride=2)(x).grad_fn).__name__
    assert not is_penalised() and "_Convolution" not in type(layer(x).grad_fn).__name__
