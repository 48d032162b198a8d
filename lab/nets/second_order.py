"""Convolutions whose input gradient is differentiated again: what a gradient penalty asks for, at an ordinary price.

torch's own second derivative takes the weights' gradient for a convolution with kernels as large as the maps, three to
seven times slower than the operator that computes it in a first derivative. Here it is that operator.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_state = threading.local()


@contextmanager
def penalised() -> Iterator[None]:
    """Inside, `lab.nets.layers.Conv2d` of stride 1 is `conv2d`: for scores whose gradient is penalised."""
    before = is_penalised()
    _state.on = True
    try:
        yield
    finally:
        _state.on = before


def is_penalised() -> bool:
    return getattr(_state, "on", False)


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """[B, in, H, W], [out, in, K, K], [out] or None -> [B, out, H', W'] at stride 1, twice differentiable.

    A gradient taken with create_graph=True is that of the input alone, which is what a penalty differentiates; the
    weights' is left out there rather than computed for nothing. The second pass gives both.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    return _Convolution.apply(x, weight, bias, padding)


def _gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, padding: int, wanted: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    sides, ones = [padding, padding], [1, 1]
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, [len(weight)], ones, sides, ones, False, [0, 0], 1, wanted
    )


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return torch.conv2d(x, weight, bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        if torch.is_grad_enabled():  # create_graph=True: the gradient is to be differentiated
            return (_InputGradient.apply(gradient, weight, x, ctx.padding) if wanted[0] else None), None, None, None
        return (*_gradients(gradient, x, weight, ctx.padding, wanted), None)


class _InputGradient(torch.autograd.Function):
    """Linear in the gradient and in the weights; `x` gives the shape alone."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, weight: Tensor, x: Tensor, padding: int) -> Tensor | None:
        ctx.save_for_backward(gradient, weight)
        ctx.padding = padding
        return _gradients(gradient, x, weight, padding, [True, False, False])[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, ...]:
        gradient, weight = ctx.saved_tensors
        to_gradient = to_weight = None
        if ctx.needs_input_grad[0]:
            to_gradient = torch.conv2d(second, weight, padding=ctx.padding)
        if ctx.needs_input_grad[1]:
            to_weight = _gradients(gradient, second, weight, ctx.padding, [False, True, False])[1]
        return to_gradient, to_weight, None, None
