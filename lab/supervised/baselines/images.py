"""Classical filters of noisy images with a known standard deviation of the noise."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_PATCH = 8  # pixels of a side, at most
_THRESHOLD = 2.7  # standard deviations of the noise, below which a coefficient is set to 0


def filtered(noisy: Tensor, deviation: float) -> dict[str, Tensor]:
    """Noisy images float32 [N, C, H, W], filtered by each method."""
    from scipy.ndimage import median_filter

    pixels = noisy.numpy()
    return {
        "median of 3x3": torch.from_numpy(median_filter(pixels, size=(1, 1, 3, 3))),
        "Wiener filter, 5x5": _wiener(noisy, deviation, 5),
        "sliding DCT threshold": sliding_dct(noisy, deviation),
    }


def sliding_dct(noisy: Tensor, deviation: float) -> Tensor:
    """Images [N, C, H, W] without the small DCT coefficients of their patches, averaged over all patches of a pixel.

    Hard thresholding of sliding windows (Yu and Sapiro 2011, "DCT image denoising"), the first stage of BM3D without
    the matching of blocks.
    """
    count, channels, height, width = noisy.shape
    side = min(_PATCH, height, width)
    basis = torch.kron(_dct(side), _dct(side))  # [side**2, side**2], orthogonal
    patches = F.unfold(noisy.reshape(count * channels, 1, height, width), side)
    coefficients = basis @ patches
    kept = coefficients.abs() > _THRESHOLD * deviation
    kept[:, 0] = True  # the mean
    rebuilt = basis.T @ (coefficients * kept)
    total, shown = (F.fold(part, (height, width), side) for part in (rebuilt, torch.ones_like(rebuilt)))
    return (total / shown).view_as(noisy)


def _wiener(noisy: Tensor, deviation: float, side: int) -> Tensor:
    """Images [N, C, H, W], shrunk towards their local mean where the local variance is that of the noise (Lee 1980)."""
    count, channels, height, width = noisy.shape
    padded = F.pad(noisy.reshape(count * channels, 1, height, width), [side // 2] * 4, "replicate")
    mean, square = (F.avg_pool2d(part, side, stride=1).view_as(noisy) for part in (padded, padded.square()))
    variance = (square - mean.square()).clamp_min(1e-12)
    return mean + (1.0 - deviation**2 / variance).clamp_min(0.0) * (noisy - mean)


def _dct(side: int) -> Tensor:
    """Orthonormal DCT-II [side, side]: row k has frequency k."""
    rows = np.arange(side)[:, None]
    basis = np.cos(math.pi * rows * (2 * np.arange(side) + 1) / (2 * side)) * math.sqrt(2.0 / side)
    basis[0] /= math.sqrt(2.0)
    return torch.from_numpy(basis).float()
