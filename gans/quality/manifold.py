"""Improved precision and recall (Kynkaanniemi et al. 2019)."""

import torch
from torch import Tensor

_ROWS = 1024


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Features [N, D], [M, D] -> the share of fakes within reach of a real, and of reals within reach of a fake.

    A point reaches as far as its k-th nearest neighbour among its own.
    """
    return _covered(fake, real, k), _covered(real, fake, k)


def _covered(points: Tensor, manifold: Tensor, k: int) -> float:
    reach = _radii(manifold, k)
    inside = [(_distances(rows, manifold) <= reach).any(1) for rows in points.split(_ROWS)]
    return float(torch.cat(inside).float().mean())


def _radii(points: Tensor, k: int) -> Tensor:
    # The nearest of all is the point itself.
    parts = [_distances(rows, points).kthvalue(min(k + 1, len(points)), 1).values for rows in points.split(_ROWS)]
    return torch.cat(parts)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    # Not by |x|^2 + |y|^2 - 2xy, whose rounding parts equal points.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
