"""Convolution, offset, leaky ReLU and pooling as one operation, twice differentiable."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gans.effective_weights import Effective
from gans.progressive.fused.activation import LEAK, Gradients, is_plain, leaky_backward
from gans.progressive.fused.calls import conv_gradients, convolve


def fused_conv(
    x: Tensor, weights: Effective, *, offset: Tensor | None = None, leaky: bool = True, pool: bool = False
) -> Tensor:
    """Convolution of stride 1 that keeps H and W, leaky ReLU and the mean of 2x2 pixels; twice differentiable.

    [B, in, H, W] -> [B, out, H, W], or [B, out, H / 2, W / 2] with `pool`. offset: [B, out, H, W], added to the
    result of the convolution.
    """
    if is_plain():
        y = convolve(x, weights.low, weights.low_bias, offset, leaky)
        return F.avg_pool2d(y, 2) if pool else y
    return _Conv.apply(x, *weights, offset, leaky, pool)


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        low: Tensor,
        low_bias: Tensor | None,
        offset: Tensor | None,
        leaky: bool,
        pool: bool,
    ) -> Tensor:
        y = convolve(x, low, low_bias, offset, leaky)
        ctx.save_for_backward(x, weight, low, y if leaky else None)
        ctx.pool = pool
        return F.avg_pool2d(y, 2) if pool else y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, weight, low, y = ctx.saved_tensors
        wanted, of_offset = ctx.needs_input_grad[:3], None
        if torch.is_grad_enabled():  # create_graph=True: the gradient will be differentiated, and is not of the weights
            y = None if y is None else y.detach()
            of_x, through = _InputGradient.apply(gradient, weight, low, y, x.detach(), ctx.pool)
            return of_x, None, None, None, None, through if ctx.needs_input_grad[5] else None, None, None
        gradient = _through(gradient, y, ctx.pool)
        of_offset = gradient if ctx.needs_input_grad[5] else None
        return (*conv_gradients(gradient, x, low, wanted), None, None, of_offset, None, None)


class _InputGradient(torch.autograd.Function):
    """Gradients of the input of `_Conv`, bilinear in the output gradient and the weights, and of the offset."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, weight: Tensor, low: Tensor, y: Tensor | None, x: Tensor, pool: bool
    ) -> Gradients:
        through = _through(gradient, y, pool)
        ctx.save_for_backward(through, low, y)
        ctx.pool = pool
        ctx.set_materialize_grads(False)
        return conv_gradients(through, x, low, (True, False, False))[0], through

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, direction: Tensor | None, of_through: Tensor | None) -> Gradients:
        gradient, low, y = ctx.saved_tensors
        of_weight: Tensor | None = None
        of_gradient: Tensor | None = None
        if ctx.needs_input_grad[0]:
            of_gradient = of_through if direction is None else convolve(direction, low, None, of_through, False)
            if y is not None and of_gradient is not None:
                of_gradient = leaky_backward(of_gradient, y, LEAK, True)
            if ctx.pool and of_gradient is not None:
                of_gradient = F.avg_pool2d(of_gradient, 2)
        if ctx.needs_input_grad[1] and direction is not None:
            of_weight = conv_gradients(gradient, direction, low, (False, True, False))[1]
        return of_gradient, of_weight, None, None, None, None


def _through(gradient: Tensor, y: Tensor | None, pool: bool) -> Tensor:
    """Gradient of the convolution's result from that of the layer's, whose activated values are y."""
    if pool:
        gradient = F.interpolate(gradient * 0.25, scale_factor=2.0, mode="nearest")
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    return gradient if y is None else leaky_backward(gradient, y, LEAK, True)
