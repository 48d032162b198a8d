"""Convolutions with a fast second derivative, for gradient penalties.

In its second derivative torch computes the weights' gradient by a convolution with kernels as large as the maps. This
is three to seven times slower than the operator of the first derivative, which is used here instead.
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
    """Inside, `lab.nets.layers.Conv2d` of stride 1 uses `conv2d`: for scores with a gradient penalty."""
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

    With create_graph=True only the gradient of the input is computed, which a penalty differentiates; the weights have
    none. The second pass computes both.
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
        if torch.is_grad_enabled():  # create_graph=True: the gradient will be differentiated
            return (_InputGradient.apply(gradient, weight, x, ctx.padding) if wanted[0] else None), None, None, None
        return (*_gradients(gradient, x, weight, ctx.padding, wanted), None)


class _InputGradient(torch.autograd.Function):
    """Gradient of the input, bilinear in the output gradient and the weights; only the shape of `x` is used."""

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
