"""Sliced Wasserstein distance over Laplacian pyramids (Karras et al. 2018, section 5)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab import rng

_KERNEL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0  # Burt and Adelson 1983
_PATCH = 7
_AT_ONCE = 16  # directions projected at once, which limits memory
SMALLEST = 16  # pixels of the last level


def sliced_wasserstein(
    real: Tensor, fake: Tensor, *, seed: int = 0, patches: int = 128, directions: int = 128, repeats: int = 4
) -> dict[int | str, float]:
    """uint8 [N, C, R, R] and [M, C, R, R] -> distance x 1000 by resolution, R down to 16, and their "average".

    The paper uses 128 patches of 7x7 per image and 4 x 128 random directions. The first min(N, M) images of
    each set are compared. The places of an image's patches depend on its pixels and the seed alone, so that the order
    of the images does not matter and equal sets are at distance 0. ValueError for images below 16x16.
    """
    if real.shape[-1] < SMALLEST:
        raise ValueError(f"images of {real.shape[-1]}x{real.shape[-1]} have no level of {SMALLEST}x{SMALLEST}")
    count = min(len(real), len(fake))
    generator = torch.Generator().manual_seed(seed)
    found: dict[int | str, float] = {}
    sets = (real[:count], fake[:count])
    keys = [_fingerprints(images, seed) for images in sets]
    for levels in zip(*(_pyramid(images) for images in sets), strict=True):
        a, b = (_normalised(_patches(level, patches, seed, key)) for level, key in zip(levels, keys, strict=True))
        total = 0.0
        for _ in range(repeats):
            axes = F.normalize(torch.randn(a.shape[1], directions, generator=generator), dim=0).to(a.device)
            for some in axes.T.split(_AT_ONCE):
                total += float(_sorted(some @ a.T).sub_(_sorted(some @ b.T)).abs_().mean(1).sum())
        found[levels[0].shape[-1]] = total / (repeats * directions) * 1000.0
    found["average"] = sum(found.values()) / len(found)
    return found


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """float [N, C, R, R] -> bands from R down; the last, at 16 or R if smaller, is the low-pass residual."""
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
    kernel = (torch.outer(_KERNEL, _KERNEL) * gain).to(images.device).expand(channels, 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, groups=channels)


def _enlarged(images: Tensor) -> Tensor:
    spread = images.new_zeros(*images.shape[:2], images.shape[2] * 2, images.shape[3] * 2)
    spread[:, :, ::2, ::2] = images
    return _smoothed(spread, gain=4.0)


def _fingerprints(images: Tensor, seed: int) -> Tensor:
    """int64 [N], a hash of each image's bytes: sums modulo 2**64 of pixels times random odd numbers."""
    flat = images.flatten(1)
    places = torch.arange(flat.shape[1], device=images.device)
    weights = rng.random_bits(seed, rng.Stream.SAMPLE, places) | 1
    return torch.cat([(rows.long() * weights).sum(1) for rows in flat.split(64)])


def _patches(level: Tensor, count: int, seed: int, keys: Tensor) -> Tensor:
    """Patches [N * count, C, 49] at random places of every image."""
    images, _, side, _ = level.shape
    places = torch.arange(count, device=level.device)
    top, left = (
        rng.integers(side - _PATCH + 1, seed, rng.Stream.SAMPLE, side, axis, places, keys[:, None]) for axis in range(2)
    )
    which = torch.arange(images, device=level.device)[:, None]
    windows = level.unfold(2, _PATCH, 1).unfold(3, _PATCH, 1)
    return windows[which, :, top, left].flatten(0, 1).flatten(2)


def _normalised(patches: Tensor) -> Tensor:
    """Patches as vectors [P, C * 49], every channel with mean 0 and deviation 1 over all patches; in place."""
    deviation, mean = torch.std_mean(patches, (0, 2), keepdim=True, correction=0)
    return patches.sub_(mean).div_(deviation.clamp_min(1e-8)).flatten(1)


def _sorted(rows: Tensor) -> Tensor:
    """Each row sorted. NumPy's sort is several times faster on a CPU, since it returns no indices."""
    if rows.device.type == "cpu":
        return torch.from_numpy(np.sort(rows.numpy(), axis=1))
    return rows.sort(1).values
