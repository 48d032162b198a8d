"""Sliced Wasserstein distance over Laplacian pyramids (Karras et al. 2018, section 5)."""

import torch
import torch.nn.functional as F
from torch import Tensor

_KERNEL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0  # Burt and Adelson 1983
_PATCH = 7
SMALLEST = 16


def sliced_wasserstein(
    real: Tensor, fake: Tensor, *, seed: int = 0, patches: int = 128, directions: int = 128, repeats: int = 4
) -> dict[int, float]:
    """uint8 [N, C, R, R] and [M, C, R, R] -> distance x 1000 by resolution, R down to 16.

    128 patches of 7x7 an image and 4 x 128 random directions are the paper's. Equal numbers are compared: the
    first min(N, M) of each.
    """
    count = min(len(real), len(fake))
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for one, other in zip(_pyramid(real[:count]), _pyramid(fake[:count]), strict=True):
        resolution = one.shape[-1]
        a, b = (_normalised(_patches(level, patches, generator)) for level in (one, other))
        total = 0.0
        for _ in range(repeats):
            axes = F.normalize(torch.randn(a.shape[1], directions, generator=generator), dim=0)
            total += float(((a @ axes).sort(0).values - (b @ axes).sort(0).values).abs().mean())
        found[resolution] = total / repeats * 1000.0
    return found


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """float [N, C, R, R] -> band by band, R first; the last, at 16 or R if smaller, keeps all that is left."""
    levels = [images]
    while levels[-1].shape[-1] > SMALLEST:
        smaller = _smoothed(levels[-1])[:, :, ::2, ::2]
        levels[-1] = levels[-1] - _enlarged(smaller)
        levels.append(smaller)
    return levels


def _pyramid(images: Tensor) -> list[Tensor]:
    parts = [laplacian_pyramid(rows.float()) for rows in images.split(512)]
    return [torch.cat(level) for level in zip(*parts, strict=True)]


def _smoothed(images: Tensor, gain: float = 1.0) -> Tensor:
    channels = images.shape[1]
    kernel = (torch.outer(_KERNEL, _KERNEL) * gain).expand(channels, 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, groups=channels)


def _enlarged(images: Tensor) -> Tensor:
    spread = images.new_zeros(*images.shape[:2], images.shape[2] * 2, images.shape[3] * 2)
    spread[:, :, ::2, ::2] = images
    return _smoothed(spread, gain=4.0)


def _patches(level: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """[N * count, C, 49] of random places in every image."""
    images, _, side, _ = level.shape
    top, left = (torch.randint(0, side - _PATCH + 1, (images, count), generator=generator) for _ in range(2))
    window = torch.arange(_PATCH)
    rows = top[:, :, None, None] + window[:, None]
    columns = left[:, :, None, None] + window
    which = torch.arange(images)[:, None, None, None]
    found = level.permute(0, 2, 3, 1)[which, rows, columns]  # [N, count, 7, 7, C]
    return found.flatten(0, 1).flatten(1, 2).transpose(1, 2)


def _normalised(patches: Tensor) -> Tensor:
    """Every channel to mean 0 and deviation 1 over all patches, as one vector each [P, C * 49]."""
    mean, deviation = patches.mean((0, 2), keepdim=True), patches.std((0, 2), keepdim=True, correction=0)
    return ((patches - mean) / deviation.clamp_min(1e-8)).flatten(1)
