"""Effective weights, the stored ones times their runtime scale, computed once for several passes of one step."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.nets.layers import Conv2d, scaled

_state = threading.local()


class Effective(NamedTuple):
    """Weight and bias of one layer. `weight` and `bias` are float32 and carry the gradients.

    `low` and `low_bias` have the dtype of the computation. Layers give them no gradients.
    """

    weight: Tensor
    bias: Tensor | None
    low: Tensor
    low_bias: Tensor | None


@contextmanager
def weights_kept() -> Iterator[None]:
    """Inside, every layer computes its effective weights once. Stored weights must not change inside."""
    before = getattr(_state, "kept", None)
    _state.kept = {}
    try:
        yield
    finally:
        _state.kept = before


def effective(layer: Conv2d, dtype: torch.dtype, form: Callable[[Tensor], Tensor] | None = None) -> Effective:
    """The effective weights for a computation in `dtype`. form: linear rearrangement of the weight."""
    kept: dict[Any, Effective] | None = getattr(_state, "kept", None)
    if kept is None or torch.compiler.is_compiling():
        return _computed(layer, dtype, form)
    key = (layer, dtype, form, torch.is_grad_enabled())
    if key not in kept:
        kept[key] = _computed(layer, dtype, form)
    return kept[key]


def without_last_channel(layer: Conv2d, dtype: torch.dtype) -> tuple[Effective, Tensor]:
    """The effective weights without the last input channel, and the float32 kernels [out, K, K] of that channel."""
    kept: dict[Any, Any] | None = getattr(_state, "kept", None)
    if torch.compiler.is_compiling():
        weight, bias = scaled(layer)
        most = weight[:, :-1].contiguous(memory_format=torch.channels_last)
        return _effective(most, bias, dtype), weight[:, -1]
    key = (layer, dtype, without_last_channel, torch.is_grad_enabled())
    if kept is None or key not in kept:
        most, last = _WithoutLast.apply(layer.weight, layer.weight_scale)
        found = _effective(most, _scaled_bias(layer), dtype), last
        if kept is None:
            return found
        kept[key] = found
    return kept[key]


class _WithoutLast(torch.autograd.Function):
    """Weight [out, in, K, K] times its scale, as [out, in - 1, K, K] in channels-last order and [out, K, K].

    torch's slices have gradients as large as the whole weight, which are then added.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        ctx.scale, ctx.shape = scale, weight.shape
        most = (weight[:, :-1] * scale).contiguous(memory_format=torch.channels_last)
        return most, weight[:, -1] * scale

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_most: Tensor, of_last: Tensor) -> tuple[Tensor, None]:
        found = torch.empty(ctx.shape, device=of_most.device, memory_format=torch.channels_last)
        torch.mul(of_most, ctx.scale, out=found[:, :-1])
        torch.mul(of_last, ctx.scale, out=found[:, -1])
        return found, None


def _computed(layer: Conv2d, dtype: torch.dtype, form: Callable[[Tensor], Tensor] | None) -> Effective:
    if form is None:
        return _effective(*scaled(layer), dtype)
    return _effective(form(layer.weight) * layer.weight_scale, _scaled_bias(layer), dtype)


def _scaled_bias(layer: Conv2d) -> Tensor | None:
    return layer.bias if layer.bias is None or layer.bias_scale == 1.0 else layer.bias * layer.bias_scale


def _effective(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Effective:
    if weight.dtype == dtype:
        return Effective(weight, bias, weight, bias)
    low, low_bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    if torch.compiler.is_compiling():  # the graph is differentiated through `low`
        return Effective(weight, bias, low, low_bias)
    return Effective(weight, bias, low.detach(), None if low_bias is None else low_bias.detach())


def enlarging(weight: Tensor) -> Tensor:
    """3x3 kernel [out, in, 3, 3] -> kernel [in, out, 4, 4] of the transposed convolution that also enlarges by two."""
    kernel = weight.flip(2, 3).transpose(0, 1)
    kernel = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
    return F.pad(kernel, (0, 1)) + F.pad(kernel, (1, 0))
