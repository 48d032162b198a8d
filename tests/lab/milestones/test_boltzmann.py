"""The Boltzmann machine: enumeration against closed forms, sampling against enumeration, connections of encoders."""

import torch

from lab.milestones.boltzmann import Machines, codes, completion, every_state, probabilities, sweep


def pair(weight: float, first: float, second: float) -> Machines:
    weights = torch.tensor([[[0.0, weight], [weight, 0.0]]], dtype=torch.float64)
    return Machines(weights, torch.tensor([[first, second]], dtype=torch.float64))


def test_two_units_have_the_probabilities_of_their_four_energies() -> None:
    terms = torch.tensor([0.0, -0.3, 0.5, 0.5 - 0.3 + 1.2], dtype=torch.float64).exp()
    assert torch.allclose(probabilities(pair(1.2, 0.5, -0.3))[0], terms / terms.sum())


def test_sampled_moments_are_those_of_enumeration() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(1, 6, 6, generator=generator, dtype=torch.float64).triu(1)
    machine = Machines(weights + weights.mT, torch.randn(1, 6, generator=generator, dtype=torch.float64))
    states = torch.zeros(1, 20_000, 6, dtype=torch.float64)
    for _ in range(40):
        sweep(states, machine, units=range(6), temperature=1.0, generator=generator)
    exact = every_state(6).T @ (every_state(6) * probabilities(machine)[0][:, None])
    assert float((states[0].T @ states[0] / 20_000 - exact).abs().max()) < 0.02


def test_a_low_temperature_freezes_the_lowest_energy() -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.zeros(1, 100, 2, dtype=torch.float64)
    for _ in range(20):
        sweep(states, pair(3.0, -1.0, -1.0), units=range(2), temperature=0.02, generator=generator)
    # (0, 0) is a minimum too, and no single unit can leave it.
    assert bool((states == 0.0).all())
    states += 1.0
    sweep(states, pair(3.0, -1.0, -1.0), units=range(2), temperature=0.02, generator=generator)
    assert bool((states == 1.0).all())


def test_an_encoder_made_by_hand_completes_its_patterns() -> None:
    """Each hidden unit excites the visible units of the patterns whose code has it, and inhibits the others."""
    code = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    weights = torch.zeros(1, 10, 10, dtype=torch.float64)
    for group in (slice(0, 4), slice(4, 8)):
        weights[0, group, group] = -40.0 * (1.0 - torch.eye(4, dtype=torch.float64))
        weights[0, group, 8:] = 40.0 * (2.0 * code - 1.0)
    biases = torch.zeros(1, 10, dtype=torch.float64)
    biases[0, :8] = -40.0 * code.sum(1).repeat(2) + 20.0
    machine = Machines(torch.triu(weights, 1) + torch.triu(weights, 1).mT, biases)
    assert float(completion(machine)) > 0.99
    assert codes(machine)[0].tolist() == [0, 1, 2, 3]


def test_without_weights_completion_is_chance() -> None:
    machine = Machines(torch.zeros(1, 10, 10, dtype=torch.float64), torch.zeros(1, 10, dtype=torch.float64))
    assert abs(float(completion(machine)) - 1.0 / 16.0) < 1e-12
