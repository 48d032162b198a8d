"""Inference form of a network: batch normalisation and runtime scales folded into the weights."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from lab.nets.layers import Conv2d, Linear, scaled

Module = TypeVar("Module", bound=nn.Module)


@torch.no_grad()
def fold(module: Module) -> Module:
    """A copy of `module` in eval mode, without gradients, that computes the same with fewer operations.

    Within every `nn.Sequential` a `BatchNorm` right after a `Linear` or `Conv2d` is folded into its weight and bias
    (Jacob et al. 2018, section 3.2); runtime scales of `Init` are multiplied in. Outputs equal those of
    `module.eval()` up to rounding. A norm without running statistics is kept.
    """
    folded = copy.deepcopy(module).eval().requires_grad_(False)
    for sequence in [m for m in folded.modules() if isinstance(m, nn.Sequential)]:
        for layer, position, norm in list(_foldable_pairs(sequence)):
            weight, bias = _absorb(norm, *scaled(layer))
            _bake(layer, weight, bias)
            sequence[position] = nn.Identity()
    for part in folded.modules():
        if isinstance(part, Linear | Conv2d):
            _bake(part, *scaled(part))
    return folded


@torch.no_grad()
def fold_into(source: nn.Module, folded: nn.Module) -> None:
    """Fold `source` again and copy the result into the storage of `folded`, an earlier `fold(source)`.

    Addresses, device, dtype and memory format of `folded` stay, so captured CUDA graphs remain valid.
    """
    fresh, current = dict(_tensors(fold(source))), dict(_tensors(folded))
    if fresh.keys() != current.keys():
        raise ValueError(f"fold_into: the networks differ in {sorted(fresh.keys() ^ current.keys())}")
    for name, tensor in current.items():
        tensor.copy_(fresh[name])


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


class Pair(NamedTuple):
    """A layer and the norm at the next position of its sequence."""

    layer: Linear | Conv2d
    position: int
    norm: nn.BatchNorm1d | nn.BatchNorm2d


def _foldable_pairs(sequence: nn.Sequential) -> Iterator[Pair]:
    layers = list(sequence)
    for index, (layer, norm) in enumerate(itertools.pairwise(layers), start=1):
        linear = isinstance(layer, Linear) and isinstance(norm, nn.BatchNorm1d)
        convolution = isinstance(layer, Conv2d) and isinstance(norm, nn.BatchNorm2d)
        if (linear or convolution) and norm.running_var is not None:
            yield Pair(layer, index, norm)  # type: ignore[arg-type]


def _absorb(norm: nn.BatchNorm1d | nn.BatchNorm2d, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean if bias is None else bias - norm.running_mean
    shift = shift * scale
    if norm.bias is not None:
        shift = shift + norm.bias
    return weight * scale.reshape(-1, *[1] * (weight.dim() - 1)), shift


def _bake(layer: Linear | Conv2d, weight: Tensor, bias: Tensor | None) -> None:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    layer.weight_scale = layer.bias_scale = 1.0
