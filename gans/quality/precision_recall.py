"""Improved precision and recall (Kynkaanniemi et al. 2019)."""

import torch
from torch import Tensor

_ROWS = 1024
_SLACK = 1e-11  # of the largest squared length: bound of the rounding error of the distance of equal points


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Features [N, D], [M, D] -> precision: fraction of fakes within the manifold of reals; recall: the reverse.

    The manifold is the union of balls around the points, each reaching its k-th nearest neighbour. Computed in
    float64, in blocks of rows.
    """
    centre = real.double().mean(0)  # centred lengths are smallest, and so is the rounding error
    one, other = real.double() - centre, fake.double() - centre
    slack = _SLACK * max(float(points.square().sum(1).max()) for points in (one, other))
    reach, other_reach = (_reach(points, k) + slack for points in (one, other))
    precise, recalled = 0, torch.zeros(len(one), dtype=torch.bool, device=one.device)
    for rows, reached in zip(other.split(_ROWS), other_reach.split(_ROWS), strict=True):
        squared = _squared_distances(rows, one)
        precise += int((squared <= reach).any(1).sum())
        recalled |= (squared <= reached[:, None]).any(0)
    return precise / len(other), float(recalled.double().mean())


def _reach(points: Tensor, k: int) -> Tensor:
    """Squared distances to the k-th nearest neighbours [N]."""
    nearest = min(k + 1, len(points))  # the nearest is the point itself
    parts = [
        _squared_distances(rows, points).topk(nearest, 1, largest=False).values[:, -1] for rows in points.split(_ROWS)
    ]
    return torch.cat(parts)


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances [N, M]; rounding may make them slightly negative."""
    return torch.addmm(y.square().sum(1), x, y.T, alpha=-2.0).add_(x.square().sum(1, keepdim=True))
