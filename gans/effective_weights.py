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

    `low` and `low_bias` have the dtype of the computation and no gradients.
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


def _computed(layer: Conv2d, dtype: torch.dtype, form: Callable[[Tensor], Tensor] | None) -> Effective:
    if form is None:
        weight, bias = scaled(layer)
    else:
        weight, bias = form(layer.weight) * layer.weight_scale, layer.bias
        if bias is not None and layer.bias_scale != 1.0:
            bias = bias * layer.bias_scale
    low = weight if weight.dtype == dtype else weight.to(dtype)
    low_bias = bias if bias is None or bias.dtype == dtype else bias.to(dtype)
    if torch.compiler.is_compiling():  # the graph is differentiated through `low`
        return Effective(weight, bias, low, low_bias)
    return Effective(weight, bias, low.detach(), None if low_bias is None else low_bias.detach())


def enlarging(weight: Tensor) -> Tensor:
    """3x3 kernel [out, in, 3, 3] -> kernel [in, out, 4, 4] of the transposed convolution that also enlarges by two."""
    kernel = weight.flip(2, 3).transpose(0, 1)
    kernel = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
    return F.pad(kernel, (0, 1)) + F.pad(kernel, (1, 0))


def all_but_last(weight: Tensor) -> Tensor:
    """Kernel [out, in, K, K] -> [out, in - 1, K, K] without the last input channel."""
    return weight[:, :-1].contiguous(memory_format=torch.channels_last)


def last(weight: Tensor) -> Tensor:
    """Kernel [out, in, K, K] -> [out, K, K] of the last input channel."""
    return weight[:, -1]
