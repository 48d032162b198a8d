"""Boltzmann machine (Ackley, Hinton and Sejnowski 1985): sampling against enumeration, and the 4-2-4 encoder.

A machine of n binary units has symmetric weights [n, n] with a zero diagonal and biases [n]. State s has the energy
-1/2 s W s - b s and, at temperature 1, a probability proportional to exp(-energy).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.milestones.report import Finding, Report
from lab.plots.figures import Curve, Plot, plots

_UNITS = 12
_CHAINS = 16_384
_BURN_IN, _DRAWS, _APART = 100, 200, 2  # sweeps before sampling, draws of every chain, sweeps between them
_MACHINES = 16
_VISIBLE, _HIDDEN = 8, 2
_ENCODER_CHAINS = 40
_ANNEALING = (2.0, 2.0, 1.5, 1.5, 1.2, 1.2, 1.0, 1.0, 1.0, 1.0)
"""Temperature of each sweep: the article's 20, 15, 12 and 10, of which 10 is the temperature of equilibrium."""
_OFF_TO_ON, _ON_TO_OFF = 0.05, 0.15  # noise of clamped units (1985, section on the encoder problem)
_CYCLES = 500
_STEPS = ((350, 0.5, 0.02), (_CYCLES, 0.075, 0.0004))
"""Until which cycle every weight moves by which step (0.5 is the article's 5 at temperature 10), and its decay.

The decay lets machines leave states with equal codes for two patterns; at the end it is small, so that weights grow."""
_EVERY = 10  # cycles between points of the curve


@dataclass(frozen=True)
class Machines:
    """M machines of n units: weights [M, n, n] and biases [M, n]."""

    weights: Tensor
    biases: Tensor


@dataclass(frozen=True)
class Encoders:
    """Trained machines, and every 10 cycles the probability of right completion and whether the codes of all patterns
    differ: [points, M]."""

    machines: Machines
    completions: Tensor
    distinct: Tensor


def every_state(units: int) -> Tensor:
    """All states: float64 [2^n, n]; the first unit is the most significant bit of the row's number."""
    return torch.cartesian_prod(*[torch.arange(2)] * units).reshape(-1, units).double()


def probabilities(machines: Machines) -> Tensor:
    """Probability of every state by enumeration: [M, 2^n]."""
    states = every_state(machines.biases.shape[1])
    negative_energy = 0.5 * ((states @ machines.weights) * states).sum(2) + machines.biases @ states.T
    return negative_energy.softmax(1)


def sweep(
    states: Tensor, machines: Machines, *, units: Sequence[int], temperature: float, generator: torch.Generator
) -> None:
    """Set the given units of states [M, chains, n] in turn: to 1 with probability sigmoid(input / temperature)."""
    for unit in units:
        inputs = states @ machines.weights[:, unit, :, None] + machines.biases[:, unit, None, None]
        chance = (inputs[:, :, 0] / temperature).sigmoid()
        states[:, :, unit] = (torch.rand(chance.shape, generator=generator, dtype=states.dtype) < chance).to(
            states.dtype
        )


def frequencies(machine: Machines, generator: torch.Generator) -> Tensor:
    """Frequency of every state of one machine among the draws of many Gibbs chains: [2^n]."""
    units = machine.biases.shape[1]
    states = _random_states((1, _CHAINS, units), generator)
    place = 2.0 ** torch.arange(units - 1, -1, -1, dtype=states.dtype)
    counts = torch.zeros(2**units, dtype=torch.int64)
    for number in range(_BURN_IN + _DRAWS * _APART):
        sweep(states, machine, units=range(units), temperature=1.0, generator=generator)
        if number >= _BURN_IN and (number - _BURN_IN) % _APART == 0:
            counts += torch.bincount((states[0] @ place).long(), minlength=2**units)
    return counts.double() / counts.sum()


def train_encoders(generator: torch.Generator) -> Encoders:
    """Machines that learn to have the same one of four units active in both groups of visible units.

    Units 0 to 3 and 4 to 7 are visible, 8 and 9 hidden; the groups are joined through the hidden units alone. In every
    cycle a weight moves by a fixed step, up if its units are active together more often in clamped than in free chains.
    """
    units = _VISIBLE + _HIDDEN
    joined = _connections()
    weights = 0.1 * torch.randn(_MACHINES, units, units, generator=generator, dtype=torch.float64)
    machines = Machines((weights.triu(1) + weights.triu(1).mT) * joined, torch.zeros(_MACHINES, units).double())
    patterns = _patterns().repeat(_ENCODER_CHAINS // 4, 1)
    completions, distinct = [completion(machines)], [_are_distinct(machines)]
    for cycle in range(1, _CYCLES + 1):
        clamped = _random_states((_MACHINES, _ENCODER_CHAINS, units), generator)
        noise = torch.rand(_MACHINES, *patterns.shape, generator=generator, dtype=torch.float64)
        flipped = noise < torch.where(patterns > 0, _ON_TO_OFF, _OFF_TO_ON)
        clamped[:, :, :_VISIBLE] = torch.where(flipped, 1.0 - patterns, patterns)
        free = _random_states(clamped.shape, generator)
        for temperature in _ANNEALING:
            hidden = range(_VISIBLE, units)
            sweep(clamped, machines, units=hidden, temperature=temperature, generator=generator)
            sweep(free, machines, units=range(units), temperature=temperature, generator=generator)
        together = (clamped.mT @ clamped - free.mT @ free).sign()
        active = (clamped.sum(1) - free.sum(1)).sign()
        step, decay = next((step, decay) for until, step, decay in _STEPS if cycle <= until)
        weights = (machines.weights + step * together * joined) * (1.0 - decay)
        machines = Machines(weights, (machines.biases + step * active) * (1.0 - decay))
        if cycle % _EVERY == 0:
            completions.append(completion(machines))
            distinct.append(_are_distinct(machines))
    return Encoders(machines, torch.stack(completions), torch.stack(distinct))


def completion(machines: Machines) -> Tensor:
    """Probability of the right states of units 4 to 7, given those of units 0 to 3, by enumeration: mean [M]."""
    first, both = _visible_probabilities(machines)
    return (both / first).mean(1)


def codes(machines: Machines) -> Tensor:
    """Number, 0 to 3, of the most probable state of the hidden units for each of the four patterns: [M, 4]."""
    joint = probabilities(machines).view(len(machines.biases), 2**_VISIBLE, 2**_HIDDEN)
    place = 2 ** torch.arange(_VISIBLE - 1, -1, -1)
    return joint[:, _patterns().long() @ place].argmax(2)


def run(seed: int, line: Callable[[str], None]) -> Report:
    """One machine of 12 units is sampled; 16 encoders learn."""
    generator = torch.Generator().manual_seed(seed)
    encoders = train_encoders(generator)
    weights = torch.randn(1, _UNITS, _UNITS, generator=generator, dtype=torch.float64) * 0.5
    biases = torch.randn(1, _UNITS, generator=generator, dtype=torch.float64) * 0.5
    machine = Machines(weights.triu(1) + weights.triu(1).mT, biases)
    exact, found = probabilities(machine)[0], frequencies(machine, generator)
    distance = 0.5 * float((exact - found).abs().sum())
    draws = _CHAINS * _DRAWS
    # Mean absolute deviation of a frequency p among independent draws: sqrt(2 p (1 - p) / (pi draws)).
    noise = 0.5 * float((2.0 * exact * (1.0 - exact) / (torch.pi * draws)).sqrt().sum())
    states = every_state(_UNITS)
    moments = [states.T @ (states * one[:, None]) for one in (exact, found)]
    deviation = float((moments[0] - moments[1]).abs().max())
    largest = 4.0 * 0.5 / draws**0.5  # four standard deviations of the frequency of an event of probability 1/2
    line(f"{_UNITS} units: total variation {distance:.4f} after {draws:,} draws")
    learned, reached = encoders.distinct[-1], encoders.distinct.any(0)
    first = (encoders.distinct.long().argmax(0) * _EVERY)[reached]
    final = encoders.completions[-1]
    line(f"encoders: right completion {float(final.mean()):.3f} after {_CYCLES} cycles")
    findings = (
        Finding(
            f"frequencies of {2**_UNITS:,} states against enumeration, total variation",
            f"{noise:.4f} by chance in {draws:,} independent draws",
            f"{distance:.4f}",
            distance < 2.0 * noise,
        ),
        Finding(
            "co-activations of two units, largest deviation",
            f"0 in the limit, under {largest:.4f} by chance",
            f"{deviation:.4f}",
            deviation < largest,
        ),
        Finding(
            "4-2-4 encoders with four different codes",
            "all, 250 of 250, after 110 cycles (median)",
            f"{int(learned.sum())} of {_MACHINES}; median {int(first.median()) if len(first) else _CYCLES} cycles",
            int(learned.sum()) >= 0.9 * _MACHINES,
        ),
        Finding(
            "right completion of a pattern",
            f"1/16 at the start; {_noisy_completion():.2f} in the noisy patterns",
            f"{float(encoders.completions[0].mean()):.3f} at the start, {float(final.mean()):.3f} learned",
            float(final.mean()) > 0.6 * _noisy_completion(),
        ),
    )
    notes = ("Patterns are clamped with noise, as in the article, so that no weight has to become infinite.",)
    return Report(findings, _figure(exact, found, encoders), notes)


def _noisy_completion() -> float:
    """Probability of the right units 4 to 7, given a pattern in units 0 to 3, in the patterns with noise."""
    same = (1.0 - _ON_TO_OFF) * (1.0 - _OFF_TO_ON) ** 3
    other = _ON_TO_OFF * _OFF_TO_ON * (1.0 - _OFF_TO_ON) ** 2  # a pattern becomes a certain other
    return (same**2 + 3.0 * other**2) / (same + 3.0 * other)


def _are_distinct(machines: Machines) -> Tensor:
    """Whether the four patterns have different codes: bool [M]."""
    return codes(machines).sort(1).values.eq(torch.arange(4)).all(1)


def _visible_probabilities(machines: Machines) -> tuple[Tensor, Tensor]:
    """Probabilities of the four patterns of units 0 to 3, and of the same patterns in both groups: [M, 4] each."""
    joint = probabilities(machines).view(len(machines.biases), 16, 16, 2**_HIDDEN).sum(3)
    one = torch.tensor([8, 4, 2, 1])
    return joint[:, one].sum(2), joint[:, one, one]


def _patterns() -> Tensor:
    """The four patterns of the visible units: float64 [4, 8]."""
    return torch.eye(4, dtype=torch.float64).repeat(1, 2)


def _connections() -> Tensor:
    """1 where two units are joined: all but the pairs between the groups of visible units. [10, 10]"""
    group = torch.tensor([0] * 4 + [1] * 4 + [2] * _HIDDEN)
    apart = ((group[:, None] + group) == 1) | torch.eye(len(group), dtype=torch.bool)
    return (~apart).double()


def _random_states(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    return torch.randint(2, tuple(shape), generator=generator).double()


def _figure(exact: Tensor, found: Tensor, encoders: Encoders) -> np.ndarray:
    ends = [float(exact.min()), float(exact.max())]
    states = Plot(
        [Curve("a state", exact.tolist(), found.tolist(), dots=True), Curve("equal", ends, ends)],
        f"States of {_UNITS} units",
        "probability by enumeration",
        "frequency of sampling",
        log_x=True,
        log_y=True,
    )
    cycles = [float(index * _EVERY) for index in range(len(encoders.completions))]
    curves = [Curve("", cycles, one.tolist(), colour=0) for one in encoders.completions.unbind(1)]
    learning = Plot(curves, f"{_MACHINES} encoders", "cycle", "right completion", y_range=(0.0, 1.0))
    return plots([states, learning], size=(460, 340))
