"""Dense layer with runtime scale and leaky ReLU as one operation, twice differentiable."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gans.progressive.fused.activation import LEAK, Gradients, is_plain, leaky_backward


def fused_dense(x: Tensor, weight: Tensor, bias: Tensor, scale: float, *, leaky: bool = True) -> Tensor:
    """Affine map with the weight times `scale`, and leaky ReLU, [B, in] -> [B, out]; twice differentiable."""
    if is_plain():
        return _dense(x, weight, bias, scale, leaky)
    return _Dense.apply(x, weight, bias, scale, leaky)


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, scale: float, leaky: bool) -> Tensor:
        y = _dense(x, weight, bias, scale, leaky)
        ctx.save_for_backward(x, weight, y if leaky else None)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, weight, y = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        if torch.is_grad_enabled():
            y = None if y is None else y.detach()
            return (
                (_DenseInputGradient.apply(gradient, weight, y, ctx.scale) if wanted[0] else None),
                *[None] * 4,
            )
        if y is not None:
            gradient = leaky_backward(gradient, y, LEAK, True)
        scaled = gradient * ctx.scale
        return (
            scaled @ weight if wanted[0] else None,
            scaled.t() @ x if wanted[1] else None,
            gradient.sum(0) if wanted[2] else None,
            None,
            None,
        )


class _DenseInputGradient(torch.autograd.Function):
    """Gradient of the input of `_Dense`, bilinear in the output gradient and the weight."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, weight: Tensor, y: Tensor | None, scale: float) -> Tensor:
        if y is not None:
            gradient = leaky_backward(gradient, y, LEAK, True)
        scaled = gradient * scale
        ctx.save_for_backward(scaled, weight, y)
        ctx.scale = scale
        return scaled @ weight

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, direction: Tensor) -> Gradients:
        scaled, weight, y = ctx.saved_tensors
        of_gradient = of_weight = None
        if ctx.needs_input_grad[0]:
            of_gradient = (direction @ weight.t()).mul_(ctx.scale)
            if y is not None:
                of_gradient = leaky_backward(of_gradient, y, LEAK, True)
        if ctx.needs_input_grad[1]:
            of_weight = scaled.t() @ direction
        return of_gradient, of_weight, None, None


def _dense(x: Tensor, weight: Tensor, bias: Tensor, scale: float, leaky: bool) -> Tensor:
    y = torch.addmm(bias, x, weight.t(), alpha=scale)
    return F.leaky_relu_(y, LEAK) if leaky else y
