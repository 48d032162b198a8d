"""Resampling of images under affine maps, differentiable any number of times.

torch's `grid_sample` has no second derivative, which gradient penalties need.
"""

from typing import Any

import torch
from torch import Tensor

_BILINEAR, _REFLECTION = 0, 2  # numbers of the modes in torch's operators
_IMAGE_ONLY = [True, False]  # gradients to compute: of the image, of the grid


def resample(images: Tensor, sources: Tensor) -> Tensor:
    """Images [B, C, R, R] -> the same shape: the value at position p is interpolated linearly at sources @ p, with
    reflection at the border.

    sources: [B, 3, 3], maps of homogeneous positions (x, y, 1) with x and y in [-1, 1]. The result is linear in
    `images`; `sources` gets no gradient.
    """
    side = images.shape[-1]
    centres = (2.0 * torch.arange(side, device=images.device) + 1.0) / side - 1.0
    # Not a matrix product: in bfloat16 or TF32 positions would be wrong by whole pixels.
    m = sources.detach()[..., None, None]
    places = [m[:, row, 0] * centres + m[:, row, 1] * centres[:, None] + m[:, row, 2] for row in range(2)]
    return _Resample.apply(images, torch.stack(places, -1).to(images.dtype))


class _Resample(torch.autograd.Function):
    """A: images to resampled images. Its derivative is its transpose."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        return torch.ops.aten.grid_sampler_2d(images, grid, _BILINEAR, _REFLECTION, False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Transpose.apply(gradient, *ctx.saved_tensors), None


class _Transpose(torch.autograd.Function):
    """The transpose of A: every value is added to the pixels that it was read from. Its derivative is A."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        image = values  # only its shape matters
        return torch.ops.aten.grid_sampler_2d_backward(values, image, grid, _BILINEAR, _REFLECTION, False, _IMAGE_ONLY)[
            0
        ]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Resample.apply(gradient, *ctx.saved_tensors), None
