"""The perceptron (Rosenblatt 1958): Novikoff's bound on its errors and Cover's count of what it can separate."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import torch
from torch import Tensor

from lab.milestones.report import Finding, Report
from lab.plots.figures import Curve, Plot, plots

_PROBLEMS = 200
_POINTS = 60
_FEATURES = 10
_MARGINS = (0.02, 0.3)  # smallest and largest distance of a problem's points from its separating plane
_MOST_EPOCHS = 1000
_DIMENSIONS = (2, 3, 4, 5)
_LARGEST_LOAD = 4  # points per dimension


@dataclass(frozen=True)
class Problems:
    """Separable problems: points [P, N, features], labels -1 or 1 [P, N], and Novikoff's bound of each [P]."""

    points: Tensor
    labels: Tensor
    bounds: Tensor


@dataclass(frozen=True)
class Learned:
    """Weights [P, features], errors until the end of learning [P], whether the last epoch had none [P]."""

    weights: Tensor
    errors: Tensor
    converged: Tensor


def problems(generator: torch.Generator) -> Problems:
    """Points on the unit sphere, labelled by a random plane through the origin and kept at a distance from it.

    The bound is (R / margin)^2 with the largest norm R and the margin of that plane, which separates the points.
    """
    plane = _unit(torch.randn(_PROBLEMS, 1, _FEATURES, generator=generator, dtype=torch.float64))
    points = _unit(torch.randn(_PROBLEMS, _POINTS, _FEATURES, generator=generator, dtype=torch.float64))
    low, high = _MARGINS
    distance = torch.logspace(np.log10(low), np.log10(high), _PROBLEMS, dtype=torch.float64)[:, None, None]
    side = (points * plane).sum(2, keepdim=True)
    labels = torch.where(side >= 0, 1.0, -1.0).to(points.dtype)
    # Points that are too near are moved along the normal of the plane.
    points = points + plane * (labels * side.abs().clamp_min(distance) - side)
    margin = ((points * plane).sum(2) * labels[:, :, 0]).amin(1)
    radius = points.norm(dim=2).amax(1)
    return Problems(points, labels[:, :, 0], (radius / margin) ** 2)


def learn(points: Tensor, labels: Tensor, *, most_epochs: int = _MOST_EPOCHS) -> Learned:
    """Perceptrons without a bias on problems [P, N, features] with labels -1 or 1 [P, N].

    Every epoch presents the N points in order; a point on the wrong side, or on the plane, is added with its label.
    """
    signed = points * labels[:, :, None]
    weights = torch.zeros_like(points[:, 0])
    errors = torch.zeros(len(points), dtype=torch.int64)
    converged = torch.zeros(len(points), dtype=torch.bool)
    for _ in range(most_epochs):
        before = errors.clone()
        for point in signed.unbind(1):
            wrong = (weights * point).sum(1) <= 0.0
            weights = weights + point * wrong[:, None]
            errors += wrong
        converged = errors == before
        if converged.all():
            break
    return Learned(weights, errors, converged)


def count(points: int, dimensions: int) -> int:
    """Dichotomies of points in general position by planes through the origin (Cover 1965, theorem 1)."""
    return 2 * sum(comb(points - 1, k) for k in range(dimensions))


def separable(points: Tensor) -> Tensor:
    """Every dichotomy of points [p, N] in general position, p >= N, by planes through the origin: bool [count, p].

    The weights of a dichotomy are a cone whose edges are orthogonal to N - 1 of the points. Near such an edge these
    points can have any labels, and the others keep theirs. So all edges give all dichotomies.
    """
    total, dimensions = points.shape
    chosen = torch.tensor(list(combinations(range(total), dimensions - 1)), dtype=torch.int64)
    edges = torch.linalg.svd(points[chosen], full_matrices=True)[2][:, -1]  # [C, N]
    sides = edges @ points.T > 0.0
    free = torch.cartesian_prod(*[torch.tensor([False, True])] * (dimensions - 1)).reshape(-1, dimensions - 1)
    labels = torch.stack([sides, ~sides], 1)[:, :, None].repeat(1, 1, len(free), 1)  # [C, 2, F, p]
    index = chosen[:, None, None].expand(-1, 2, len(free), -1)
    labels.scatter_(3, index, free.expand(len(chosen), 2, -1, -1))
    codes = torch.unique(labels.flatten(0, 2).long() @ (1 << torch.arange(total)))
    return (codes[:, None] >> torch.arange(total)) % 2 == 1


def run(seed: int, line: Callable[[str], None]) -> Report:
    """200 separable problems of 60 points; all dichotomies of random points in two to five dimensions."""
    generator = torch.Generator().manual_seed(seed)
    given = problems(generator)
    learned = learn(given.points, given.labels)
    ratio = float((learned.errors / given.bounds).max())
    line(f"{_PROBLEMS} problems: {int(learned.errors.min())} to {int(learned.errors.max())} errors")
    counts: dict[int, dict[int, int]] = {}
    for dimensions in _DIMENSIONS:
        points = torch.randn(_LARGEST_LOAD * dimensions, dimensions, generator=generator, dtype=torch.float64)
        counts[dimensions] = {p: len(separable(points[:p])) for p in range(dimensions, len(points) + 1)}
        line(f"{dimensions} dimensions: {counts[dimensions][2 * dimensions]} of {4**dimensions} dichotomies at p = 2N")
    pairs = [(found, count(p, n)) for n, by_points in counts.items() for p, found in by_points.items()]
    equal = sum(found == expected for found, expected in pairs)
    halves = [counts[n][2 * n] / 4**n for n in _DIMENSIONS]
    separated = bool((((given.points @ learned.weights[:, :, None])[:, :, 0] * given.labels) > 0).all())
    findings = (
        Finding(
            "errors over Novikoff's bound (R / margin)^2",
            "at most 1",
            f"at most {ratio:.3f} in {_PROBLEMS} problems",
            ratio <= 1.0,
        ),
        Finding(
            "separable problems that are learned",
            f"{_PROBLEMS} of {_PROBLEMS}",
            f"{int(learned.converged.sum())} of {_PROBLEMS}",
            bool(learned.converged.all()) and separated,
        ),
        Finding(
            "separable dichotomies against Cover's count",
            f"equal for all {len(pairs)} pairs of p and N",
            f"equal for {equal}",
            equal == len(pairs),
        ),
        Finding(
            "separable share at p = 2N",
            "0.5",
            ", ".join(f"{half:g}" for half in halves) + f" for N = {', '.join(map(str, _DIMENSIONS))}",
            all(half == 0.5 for half in halves),
        ),
    )
    return Report(findings, _figure(given, learned, counts))


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


def _figure(given: Problems, learned: Learned, counts: dict[int, dict[int, int]]) -> np.ndarray:
    bounds = sorted(given.bounds.tolist())
    errors = Plot(
        [
            Curve("a problem", given.bounds.tolist(), learned.errors.tolist(), dots=True),
            Curve("bound", bounds, bounds),
        ],
        "Errors until the problem is learned",
        "(R / margin)^2",
        "errors",
        log_x=True,
        log_y=True,
    )
    curves = []
    for colour, (n, by_points) in enumerate((n, counts[n]) for n in (_DIMENSIONS[0], _DIMENSIONS[-1])):
        loads = [p / n for p in by_points]
        measured = [found / 2**p for p, found in by_points.items()]
        curves.append(Curve(f"N = {n}", loads, measured, dots=True, colour=colour))
        curves.append(Curve(f"N = {n}, Cover", loads, [count(p, n) / 2**p for p in by_points], colour=colour))
    title = "Share of dichotomies that are separable"
    return plots([errors, Plot(curves, title, "points per dimension", "share", marks={"p = 2N": 2.0})], size=(460, 340))
