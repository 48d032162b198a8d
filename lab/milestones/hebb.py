"""Hebb's rule (1949) diverges along the first principal component; Oja's rule (1982) converges to it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.milestones.report import Finding, Report
from lab.plots.figures import Curve, Plot, plots

SPECTRUM = (4.0, 1.0, 0.5, 0.25, 0.25)
"""Variances of the inputs along their principal axes."""
_SAMPLES = 4096
_NEURONS = 64  # that start from different weights and see the samples in different order
_HEBB_STEPS, _OJA_STEPS = 20_000, 80_000
_HEBB_RATE = 0.001
_OJA_DELAY = 100  # steps: the rate is 1 / (step + delay), by which Robbins and Monro's conditions hold
_EVERY = 100  # steps between points of the curves


@dataclass(frozen=True)
class Learned:
    """Final weights [neurons, features] and, every 100 steps, norms and angles in degrees [points, neurons]."""

    weights: Tensor
    norms: Tensor
    angles: Tensor


def inputs(samples: int, generator: torch.Generator) -> Tensor:
    """Gaussian samples float64 [samples, features] of mean 0 with the spectrum along random axes."""
    features = len(SPECTRUM)
    axes, _ = torch.linalg.qr(torch.randn(features, features, generator=generator, dtype=torch.float64))
    white = torch.randn(samples, features, generator=generator, dtype=torch.float64)
    return (white * torch.tensor(SPECTRUM, dtype=torch.float64).sqrt()) @ axes.T


def first_component(x: Tensor) -> tuple[Tensor, float]:
    """First principal component of samples [N, features] about the origin, and the second moment along it."""
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    return vectors[:, -1], float(values[-1])


def angle(weights: Tensor, axis: Tensor) -> Tensor:
    """Angle in degrees, 0 to 90, between weight vectors [..., features] and an axis [features]."""
    parallel = weights @ axis
    across = (weights - parallel[..., None] * axis).norm(dim=-1)
    return torch.rad2deg(torch.atan2(across, parallel.abs()))


def learn(x: Tensor, *, decay: bool, steps: int, generator: torch.Generator) -> Learned:
    """Train linear neurons y = w x on one random sample of x [N, features] at each step.

    Without decay Hebb's rule, w += rate y x; with decay Oja's, w += rate y (x - y w) (Oja 1982, equation 3).
    """
    axis, _ = first_component(x)
    weights = torch.randn(_NEURONS, x.shape[1], generator=generator, dtype=x.dtype)
    weights /= weights.norm(dim=1, keepdim=True)
    norms, angles = [], []
    for step in range(steps + 1):
        if step % _EVERY == 0:
            norms.append(weights.norm(dim=1))
            angles.append(angle(weights, axis))
        seen = x[torch.randint(len(x), (_NEURONS,), generator=generator)]
        output = (weights * seen).sum(1, keepdim=True)
        if decay:
            weights = weights + output * (seen - output * weights) / (step + _OJA_DELAY)
        else:
            weights = weights + _HEBB_RATE * output * seen
    return Learned(weights, torch.stack(norms), torch.stack(angles))


def run(seed: int, line: Callable[[str], None]) -> Report:
    """64 neurons learn by each rule, one sample at a step."""
    generator = torch.Generator().manual_seed(seed)
    x = inputs(_SAMPLES, generator)
    axis, variance = first_component(x)
    hebb = learn(x, decay=False, steps=_HEBB_STEPS, generator=generator)
    line(f"Hebb: {_HEBB_STEPS:,} steps, mean norm {float(hebb.norms[-1].mean()):.3g}")
    oja = learn(x, decay=True, steps=_OJA_STEPS, generator=generator)
    line(f"Oja: {_OJA_STEPS:,} steps, mean angle {float(oja.angles[-1].mean()):.2f} degrees")
    # The mean weights grow by the factor 1 + rate * variance at each step; the second half has only this component.
    half = len(hebb.norms) // 2
    growth = hebb.norms[-1].log() - hebb.norms[half].log()
    rate = float(growth.mean()) / ((len(hebb.norms) - 1 - half) * _EVERY)
    expected = math.log1p(_HEBB_RATE * variance)
    largest, smallest = float(hebb.norms[-1].max()), float(hebb.norms[-1].min())
    worst = float(angle(oja.weights, axis).max())
    norms = oja.norms[-1]
    findings = (
        Finding("Hebb: norm of the weights", "grows without bound", f"{smallest:.1g} to {largest:.1g}", smallest > 1e6),
        Finding(
            "Hebb: growth of log norm per step",
            f"{expected:.5f}, log(1 + rate * variance)",
            f"{rate:.5f}",
            abs(rate / expected - 1.0) < 0.05,
        ),
        Finding(
            "Oja: norm of the weights",
            "1",
            f"{float(norms.min()):.3f} to {float(norms.max()):.3f}",
            bool(((norms - 1.0).abs() < 0.02).all()),
        ),
        Finding(
            "Oja: angle to the first principal component",
            "towards 0; under 1 degree",
            f"at most {worst:.2f} degrees among {_NEURONS} neurons",
            worst < 1.0,
        ),
    )
    return Report(findings, _figure(hebb, oja))


def _figure(hebb: Learned, oja: Learned) -> np.ndarray:
    def curve(name: str, values: Tensor) -> Curve:
        return Curve(name, [float(index * _EVERY) for index in range(len(values))], values.mean(1).tolist())

    shared = len(hebb.norms)
    norms = [curve("Hebb", hebb.norms.log10()), curve("Oja", oja.norms[:shared].log10())]
    angles = [curve("Hebb", hebb.angles), curve("Oja", oja.angles)]
    norm = Plot(norms, "Norm of the weights", "step", "mean log10 norm")
    direction = Plot(angles, "Angle to the first principal component", "step", "mean angle (degrees)", log_y=True)
    return plots([norm, direction], size=(440, 320))
