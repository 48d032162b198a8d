"""Two figures side by side, and images as tiles."""

import numpy as np
import torch
from torch import Tensor

from lab.plots.images import enlarged, grid

_WHITE = 255


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Pixels uint8 [H, W, 3] of both, the lower one centred on white."""
    height = max(len(left), len(right))
    return np.concatenate([_padded(left, height), _padded(right, height)], 1)


def tiles(images: Tensor, columns: int, scale: int = 2) -> np.ndarray:
    """Images [N, H, W] in [0, 1] in rows of `columns`, each enlarged by `scale`: uint8 [H', W', 3]."""
    grey = (images.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)[:, None]
    return np.repeat(grid(enlarged(grey, scale), columns, gap=2), 3, axis=2)


def filters(weights: Tensor, side: int) -> Tensor:
    """Weights [N, side * side] as images in [0, 1]: grey is 0, and each image has its own scale."""
    most = weights.abs().amax(1, keepdim=True).clamp_min(1e-12)
    return (0.5 + 0.5 * weights / most).unflatten(1, (side, side))


def _padded(pixels: np.ndarray, height: int) -> np.ndarray:
    above = (height - len(pixels)) // 2
    margins = ((above, height - len(pixels) - above), (8, 8), (0, 0))
    return np.pad(pixels, margins, constant_values=_WHITE)
