"""Standard deviation over groups of rows as one operation, twice differentiable."""

from typing import Any

import torch
from torch import Tensor

from gans.progressive.fused.activation import Gradients, is_plain

_EPSILON = 1e-8


def deviation(x: Tensor, group: int) -> Tensor:
    """Standard deviation over each group of rows, averaged over features: [B, C, H, W] -> [B / group].

    B is a multiple of `group`. Twice differentiable.
    """
    if is_plain():
        return _spread(x, group)[1].mean((1, 2, 3))
    return _Deviation.apply(x, group)


class _Deviation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: int) -> Tensor:
        centred, spread = _spread(x, group)
        ctx.save_for_backward(x, centred, spread)
        ctx.group = group
        return spread.mean((1, 2, 3))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, centred, spread = ctx.saved_tensors
        return _DeviationGradient.apply(gradient, x, centred, spread, ctx.group), None


class _DeviationGradient(torch.autograd.Function):
    """Gradient of the input of `_Deviation`: gradient * centred / spread, divided by the values of a group."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor, centred: Tensor, spread: Tensor, group: int) -> Tensor:
        unit = centred / spread[:, None]
        values = x[0].numel() * group
        factor = (gradient / values)[:, None, None, None, None]
        ctx.save_for_backward(factor, unit, spread)
        ctx.shape, ctx.values = x.shape, values
        return (unit * factor).view(x.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, direction: Tensor) -> Gradients:
        factor, unit, spread = ctx.saved_tensors
        direction = direction.view(unit.shape)
        along = direction * unit
        of_x = direction - direction.mean(1, keepdim=True)
        of_x = of_x.addcmul_(unit, along.mean(1, keepdim=True), value=-1.0).mul_(factor / spread[:, None])
        return along.sum((1, 2, 3, 4)) / ctx.values, of_x.view(ctx.shape), None, None, None


def _spread(x: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """Deviations from the mean of each group [N, group, C, H, W] and their standard deviation [N, C, H, W]."""
    grouped = x.view(-1, group, *x.shape[1:])
    centred = grouped - grouped.mean(1, keepdim=True)
    return centred, (centred * centred).mean(1).add_(_EPSILON).sqrt_()
