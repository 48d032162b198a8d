"""Convolution, leaky ReLU and pixel norm (Karras et al. 2018, section 4.2) as one operation, once differentiable."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gans.effective_weights import Effective
from gans.progressive.fused.activation import LEAK, Gradients, is_plain, leaky_backward
from gans.progressive.fused.calls import conv_gradients, convolve, convolve_transposed, transposed_gradients

_EPSILON = 1e-8


def conv_norm(x: Tensor, weights: Effective, *, transposed: bool = False) -> Tensor:
    """Convolution, leaky ReLU and pixel norm, [B, in, H, W] -> [B, out, H, W].

    transposed: a transposed convolution of stride 2, [B, in, H, W] -> [B, out, 2H, 2W], with a 4x4 kernel.
    """
    if is_plain():
        return _norm(_convolved(x, weights.low, weights.low_bias, transposed))[0]
    return _ConvNorm.apply(x, *weights, transposed)


def leaky_norm(x: Tensor) -> Tensor:
    """Leaky ReLU and pixel norm, [B, C, H, W] -> the same."""
    if is_plain():
        return _norm(F.leaky_relu(x, LEAK))[0]
    return _LeakyNorm.apply(x)


class _ConvNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        low: Tensor,
        low_bias: Tensor | None,
        transposed: bool,
    ) -> Tensor:
        z, factor = _norm(_convolved(x, low, low_bias, transposed))
        ctx.save_for_backward(x, low, z, factor)
        ctx.transposed = transposed
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, low, z, factor = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        gradient = _through_norm(gradient, z, factor)
        gradients = (transposed_gradients if ctx.transposed else conv_gradients)(gradient, x, low, wanted)
        return (*gradients, None, None, None)


class _LeakyNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        z, factor = _norm(F.leaky_relu(x, LEAK))
        ctx.save_for_backward(z, factor)
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _through_norm(gradient, *ctx.saved_tensors)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool) -> Tensor:
    return convolve_transposed(x, weight, bias) if transposed else convolve(x, weight, bias)


def _norm(y: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel norm [B, C, H, W] and its factor [B, 1, H, W], whose root and division are float32."""
    squares = (y * y).sum(1, keepdim=True)
    factor = ((squares.float() if y.element_size() < 4 else squares) / y.shape[1]).add_(_EPSILON).rsqrt_().to(y.dtype)
    return y * factor, factor


def _through_norm(gradient: Tensor, z: Tensor, factor: Tensor) -> Tensor:
    """Gradient of the convolution's result from that of pixel norm, whose result is z."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    along = (gradient * z).sum(1, keepdim=True) / z.shape[1]
    return leaky_backward(torch.addcmul(gradient, z, along, value=-1.0).mul_(factor), z, LEAK, True)
