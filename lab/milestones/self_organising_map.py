"""Self-organising map (Kohonen 1982): a lattice of units with random weights unfolds over a uniform square."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lab.milestones.report import Finding, Report
from lab.plots.figures import Curve, Plot, plots

_SIDE = 10  # units
_MAPS = 8  # that start from different weights
_SAMPLES = 2000
_EPOCHS = 80
_RADII = (5.0, 0.6)  # of the neighbourhood in the first and in the last epoch, in units


def lattice(side: int) -> Tensor:
    """Positions of the units, row by row: float64 [side^2, 2]."""
    return torch.cartesian_prod(*[torch.arange(side, dtype=torch.float64)] * 2)


def train(x: Tensor, weights: Tensor, *, epochs: int = _EPOCHS) -> Tensor:
    """Maps [M, units, features] trained on samples x [N, features] by the batch rule.

    Kohonen 1995, "Self-organizing maps". A unit becomes the mean of the samples, each weighted by
    exp(-d^2 / 2 radius^2), d the distance on the lattice from the unit that responds most to the sample. The radius
    shrinks geometrically.
    """
    places = lattice(_SIDE)
    squared = torch.cdist(places, places) ** 2
    first, last = _RADII
    for epoch in range(epochs):
        radius = first * (last / first) ** (epoch / max(epochs - 1, 1))
        neighbourhood = torch.exp(-squared / (2.0 * radius**2))
        best = torch.cdist(x.expand(len(weights), -1, -1), weights).argmin(2)  # [M, N]
        share = torch.zeros(weights.shape[:2], dtype=x.dtype).scatter_add_(
            1, best, torch.ones_like(best, dtype=x.dtype)
        )
        index = best[:, :, None].expand(-1, -1, x.shape[1])
        total = torch.zeros_like(weights).scatter_add_(1, index, x.expand(len(weights), -1, -1))
        weights = (neighbourhood @ total) / (neighbourhood @ share[:, :, None])
    return weights


def topographic_error(x: Tensor, weights: Tensor) -> Tensor:
    """Share of samples x [N, features] whose two nearest units are no neighbours, diagonals included: [M].

    Kiviluoto 1996, "Topology preservation in self-organizing maps".
    """
    nearest = torch.cdist(x.expand(len(weights), -1, -1), weights).topk(2, dim=2, largest=False).indices
    places = lattice(_SIDE)[nearest]  # [M, N, 2, 2]
    return ((places[:, :, 0] - places[:, :, 1]).abs().amax(2) > 1.0).double().mean(1)


def quantisation_error(x: Tensor, weights: Tensor) -> Tensor:
    """Mean distance of samples from the nearest unit: [M]."""
    return torch.cdist(x.expand(len(weights), -1, -1), weights).amin(2).mean(1)


def least_quantisation_error(units: int) -> float:
    """Mean distance of points of a unit square from the nearest of some units, if all cells were regular hexagons.

    No placement of the units has less (Fejes Toth 1953, "Lagerungen in der Ebene, auf der Kugel und im Raum").
    """
    apothem = (1.0 / units / (2.0 * math.sqrt(3.0))) ** 0.5
    return apothem * (2.0 / 3.0 + math.log(3.0) / 2.0) / math.sqrt(3.0)


def folded(weights: Tensor) -> Tensor:
    """Share of the triangles of the lattice whose orientation differs from that of most: [M] of maps [M, units, 2].

    A map without folds has 0, and one of random weights about 1/2.
    """
    grid = weights.view(len(weights), _SIDE, _SIDE, 2)
    corner, right, below, across = grid[:, :-1, :-1], grid[:, :-1, 1:], grid[:, 1:, :-1], grid[:, 1:, 1:]
    areas = torch.stack([_cross(right - corner, below - corner), _cross(below - across, right - across)], 1)
    positive = (areas > 0.0).double().flatten(1).mean(1)
    return torch.minimum(positive, 1.0 - positive)


def run(seed: int, line: Callable[[str], None]) -> Report:
    """8 maps of 10 x 10 units learn the same square; the errors are measured on other samples."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(_SAMPLES, 2, generator=generator, dtype=torch.float64)
    test = torch.rand(_SAMPLES, 2, generator=generator, dtype=torch.float64)
    start = torch.rand(_MAPS, _SIDE**2, 2, generator=generator, dtype=torch.float64)
    trained = train(x, start)
    before, after = topographic_error(test, start), topographic_error(test, trained)
    line(f"topographic error: {float(before.mean()):.3f} before, {float(after.mean()):.3f} after {_EPOCHS} epochs")
    folds, random_folds = folded(trained), folded(start)
    unordered = float(quantisation_error(test, start).mean())
    error = quantisation_error(test, trained)
    least = least_quantisation_error(_SIDE**2)
    findings = (
        Finding(
            "topographic error, random weights",
            "near 1: neighbours are anywhere",
            f"{float(before.mean()):.3f}",
            float(before.min()) > 0.8,
        ),
        Finding(
            "topographic error, trained",
            "near 0: the map is ordered",
            f"{float(after.mean()):.3f}, at most {float(after.max()):.3f} in {_MAPS} maps",
            float(after.max()) < 0.05,
        ),
        Finding(
            "folded triangles",
            "1/2 at random, 0 trained",
            f"{float(random_folds.mean()):.2f} at random, at most {float(folds.max()):.3f} trained",
            float(folds.max()) == 0.0 and float(random_folds.min()) > 0.3,
        ),
        Finding(
            "quantisation error",
            f"at least {least:.4f}, that of {_SIDE**2} equal hexagons",
            f"{float(error.mean()):.4f}; {unordered:.4f} at random",
            least * 0.97 < float(error.min()) and float(error.max()) < least * 1.2,  # measured on samples
        ),
    )
    return Report(findings, plots([_drawn(start[0], "Random weights"), _drawn(trained[0], "Trained")], size=(400, 420)))


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _drawn(weights: Tensor, title: str) -> Plot:
    """The lattice [units, 2] in the space of the inputs."""
    grid = weights.view(_SIDE, _SIDE, 2)
    lines = [*grid, *grid.transpose(0, 1)]
    curves = [Curve("", one[:, 0].tolist(), one[:, 1].tolist(), colour=0) for one in lines]
    units = Curve("", weights[:, 0].tolist(), weights[:, 1].tolist(), dots=True, colour=1)
    return Plot([*curves, units], title, "x", "y", y_range=(0.0, 1.0))
