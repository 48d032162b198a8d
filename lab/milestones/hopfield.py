"""Hopfield network (1982): stored patterns are minima of an energy, until more than 0.138 N are stored."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.milestones.report import Finding, Report
from lab.plots.figures import Curve, Plot, plots

_NETWORKS = {250: 4, 1000: 1}  # at every load, by number of units
_LOADS = (0.06, 0.1, 0.12, 0.14, 0.15, 0.16, 0.17, 0.18, 0.2, 0.22, 0.25)
_CUES = 50  # stored patterns that are tried in each network
_MOST_SWEEPS = 40
_DESCENT_UNITS, _DESCENT_PATTERNS, _DESCENT_STATES = 100, 10, 64


@dataclass(frozen=True)
class Descent:
    """Energies [updates + 1, S] of states under single updates, and whether the last sweep changed none of them."""

    energies: Tensor
    settled: bool


def hebbian_weights(patterns: Tensor) -> Tensor:
    """Weights [N, N] that store patterns of -1 and 1 [p, N]: the mean of their outer products without diagonal."""
    units = patterns.shape[1]
    weights = patterns.T @ patterns / units
    return weights.fill_diagonal_(0.0)


def energy(states: Tensor, weights: Tensor) -> Tensor:
    """-1/2 s W s of states [S, N]: [S] (Hopfield 1982, equation 7)."""
    return -0.5 * (states @ weights * states).sum(1)


def update(states: Tensor, weights: Tensor, unit: int) -> Tensor:
    """Set one unit of states [S, N] to the sign of its input, in place; returns whether it changed, bool [S]."""
    field = states @ weights[unit]  # the weights are symmetric, and a row is contiguous
    new = torch.where(field == 0.0, states[:, unit], field.sign())
    changed = new != states[:, unit]
    states[:, unit] = new
    return changed


def settle(states: Tensor, weights: Tensor, order: Tensor) -> Tensor:
    """Fixed points that states [S, N] reach by updates of single units in the given order [N], swept repeatedly."""
    states = states.clone()
    units = order.tolist()
    for _ in range(_MOST_SWEEPS):
        changed = torch.zeros(len(states), dtype=torch.bool)
        for unit in units:
            changed |= update(states, weights, unit)
        if not changed.any():
            break
    return states


def descent(generator: torch.Generator) -> Descent:
    """Energies of random states of a network with stored patterns, after every update of a single unit."""
    patterns = _random_patterns(_DESCENT_PATTERNS, _DESCENT_UNITS, generator)
    weights = hebbian_weights(patterns)
    states = _random_patterns(_DESCENT_STATES, _DESCENT_UNITS, generator)
    energies = [energy(states, weights)]
    moved, sweeps = True, 0
    while moved and sweeps < _MOST_SWEEPS:
        moved, sweeps = False, sweeps + 1
        for unit in torch.randperm(_DESCENT_UNITS, generator=generator).tolist():
            moved |= bool(update(states, weights, unit).any())
            energies.append(energy(states, weights))
    return Descent(torch.stack(energies), not moved)


def overlaps(units: int, load: float, generator: torch.Generator) -> Tensor:
    """Overlap m of stored patterns with the fixed points that start from them: [cues].

    load: stored patterns per unit.
    """
    patterns = _random_patterns(round(load * units), units, generator).float()
    cues = patterns[:_CUES]
    order = torch.randperm(units, generator=generator)
    return (settle(cues, hebbian_weights(patterns), order) * cues).mean(1)


def critical_load() -> tuple[float, float]:
    """Largest load with retrieval in the limit of many units, and the overlap there.

    Amit, Gutfreund and Sompolinsky 1985, "Storing infinite numbers of patterns in a spin-glass model", at temperature
    zero: with m = erf(y), sqrt(2 load) = m / y - 2 / sqrt(pi) exp(-y^2).
    """
    y, load = _saddle_points()
    peak = int(load.argmax())
    return float(load[peak]), math.erf(y[peak])


def retrieval_overlap(load: float) -> float:
    """Overlap of retrieval at a load in the limit of many units; 0 above the critical load, where there is none."""
    y, loads = _saddle_points()
    peak = int(loads.argmax())
    if load > loads[peak]:
        return 0.0
    # Beyond its maximum the load falls with y: the stable solution.
    return math.erf(float(np.interp(-load, -loads[peak:], y[peak:])))


def run(seed: int, line: Callable[[str], None]) -> Report:
    """Energies of 64 random states; overlaps of 250 and 1,000 units at loads from 0.06 to 0.25."""
    generator = torch.Generator().manual_seed(seed)
    fallen = descent(generator)
    rise = float((fallen.energies[1:] - fallen.energies[:-1]).max())
    measured: dict[int, list[Tensor]] = {}
    for units, networks in _NETWORKS.items():
        measured[units] = [torch.cat([overlaps(units, load, generator) for _ in range(networks)]) for load in _LOADS]
        line(f"{units} units: mean overlap {measured[units][0].mean():.3f} at load {_LOADS[0]}")
    critical, overlap = critical_load()
    smallest, largest = _NETWORKS
    means = {load: float(one.mean()) for load, one in zip(_LOADS, measured[largest], strict=True)}
    falls = {units: crossing(measured[units]) for units in _NETWORKS}
    early = {units: float((measured[units][_LOADS.index(0.12)] < 0.9).double().mean()) for units in _NETWORKS}
    findings = (
        Finding(
            "largest rise of the energy in a single update",
            "0: it never rises",
            f"{rise:.1g}",
            rise < 1e-9,
        ),
        Finding("random states end in fixed points", "all", "all" if fallen.settled else "not all", fallen.settled),
        Finding(
            f"overlap at load 0.1, {largest} units",
            f"{retrieval_overlap(0.1):.4f}",
            f"{means[0.1]:.4f}",
            abs(means[0.1] - retrieval_overlap(0.1)) < 0.01,
        ),
        Finding(
            f"load at which half of the patterns are lost, {largest} units",
            f"{critical:.4f} with overlap {overlap:.3f} in the limit; more in small networks",
            f"{falls[largest]:.3f}; {falls[smallest]:.3f} with {smallest} units",
            abs(falls[largest] - critical) < 0.035 and falls[largest] < falls[smallest],
        ),
        Finding(
            f"overlap at load 0.2, {largest} units",
            "far below 0.9: no retrieval",
            f"{means[0.2]:.3f}",
            means[0.2] < 0.7,
        ),
    )
    notes = (
        "In finite networks patterns are also lost below the critical load and retrieved above it: at load 0.12 "
        f"{early[smallest]:.1%} are lost with {smallest} units and {early[largest]:.1%} with {largest}.",
    )
    return Report(findings, _figure(fallen, measured), notes)


def crossing(measured: list[Tensor]) -> float:
    """Load at which the share of patterns with an overlap over 0.9 falls through 1/2, by interpolation."""
    shares = [float((one > 0.9).double().mean()) for one in measured]
    for index in range(1, len(shares)):
        if shares[index] < 0.5 <= shares[index - 1]:
            part = (shares[index - 1] - 0.5) / (shares[index - 1] - shares[index])
            return _LOADS[index - 1] + part * (_LOADS[index] - _LOADS[index - 1])
    return math.nan


def _random_patterns(count: int, units: int, generator: torch.Generator) -> Tensor:
    return torch.randint(2, (count, units), generator=generator).double() * 2.0 - 1.0


def _saddle_points() -> tuple[np.ndarray, np.ndarray]:
    """Values of y and the loads that they solve."""
    y = np.linspace(0.5, 6.0, 20_001)
    m = np.array([math.erf(one) for one in y])
    return y, (m / y - 2.0 / math.sqrt(math.pi) * np.exp(-(y**2))) ** 2 / 2.0


def _figure(fallen: Descent, measured: dict[int, list[Tensor]]) -> np.ndarray:
    updates = [float(index) for index in range(len(fallen.energies))]
    shown = [Curve("", updates, fallen.energies[:, index].tolist(), colour=0) for index in range(16)]
    energies = Plot(shown, f"Energy of random states, {_DESCENT_UNITS} units", "updates of single units", "energy")
    critical, overlap = critical_load()
    loads = np.linspace(_LOADS[0], critical, 60).tolist()
    curves = [Curve(f"{units} units", _LOADS, [float(one.mean()) for one in measured[units]]) for units in measured]
    theory = Curve("many units", [*loads, critical], [*map(retrieval_overlap, loads[:-1]), overlap, 0.0], dashed=True)
    retrieval = Plot([*curves, theory], "Retrieval", "stored patterns per unit", "mean overlap", y_range=(0.0, 1.0))
    return plots([energies, retrieval], size=(460, 340))
