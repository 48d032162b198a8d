"""Distances between two sets of feature vectors."""

import torch
from torch import Tensor


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Frechet distance of Gaussians fitted to features [N, D] and [M, D] (Heusel et al. 2017).

    The trace of the root of S1 S2 is the sum of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2), which is
    symmetric, so that no complex numbers appear and covariances may be singular. Computed in float64.
    """
    one, other = real.double(), fake.double()
    first, second = torch.atleast_2d(torch.cov(one.T)), torch.atleast_2d(torch.cov(other.T))
    values, vectors = torch.linalg.eigh(first)
    root = vectors * _roots(values) @ vectors.T
    cross = _roots(torch.linalg.eigvalsh(root @ second @ root)).sum()
    distance = (one.mean(0) - other.mean(0)).square().sum() + first.trace() + second.trace() - 2.0 * cross
    return float(distance.clamp_min(0.0))


def kernel_distance(real: Tensor, fake: Tensor, *, size: int = 1000, subsets: int = 50, seed: int = 0) -> float:
    """Kernel distance of features [N, D], [M, D]: unbiased squared maximum mean discrepancy under the kernel
    (x.y / D + 1)**3, mean over random subsets (Binkowski et al. 2018). ValueError for fewer than two vectors."""
    generator = torch.Generator().manual_seed(seed)
    size = min(size, len(real), len(fake))
    if size < 2:
        raise ValueError("the kernel distance needs two vectors of each set")
    total = 0.0
    for _ in range(subsets):
        x = real[torch.randperm(len(real), generator=generator)[:size]].double()
        y = fake[torch.randperm(len(fake), generator=generator)[:size]].double()
        within = sum(float(k.sum() - k.diagonal().sum()) for k in (_cubic(x, x), _cubic(y, y)))
        total += within / (size * (size - 1)) - 2.0 * float(_cubic(x, y).mean())
    return total / subsets


def _roots(eigenvalues: Tensor) -> Tensor:
    # Rounding turns a zero into 1e-16 of the largest; the root of that, 1e-8, would add up over many eigenvalues.
    noise = eigenvalues.abs().max() * len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps
    return torch.where(eigenvalues > noise, eigenvalues, 0.0).sqrt()


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1.0) ** 3
