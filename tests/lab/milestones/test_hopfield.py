"""The Hopfield network: energy, fixed points, retrieval, and the critical load."""

import itertools

import torch

from lab.milestones.hopfield import (
    critical_load,
    descent,
    energy,
    hebbian_weights,
    overlaps,
    retrieval_overlap,
    settle,
)


def test_the_energy_is_the_sum_over_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = hebbian_weights(torch.randint(2, (3, 5), generator=generator).double() * 2.0 - 1.0)
    state = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0], dtype=torch.float64)
    pairs = -sum(float(weights[i, j] * state[i] * state[j]) for i, j in itertools.combinations(range(5), 2))
    assert abs(float(energy(state[None], weights)) - pairs) < 1e-12


def test_no_update_raises_the_energy() -> None:
    fallen = descent(torch.Generator().manual_seed(1))
    steps = fallen.energies[1:] - fallen.energies[:-1]
    assert float(steps.max()) < 1e-9 < -float(steps.min())


def test_a_damaged_pattern_is_restored() -> None:
    generator = torch.Generator().manual_seed(2)
    patterns = torch.randint(2, (5, 200), generator=generator).double() * 2.0 - 1.0
    damaged = patterns.clone()
    damaged[:, :30] *= -1.0
    restored = settle(damaged, hebbian_weights(patterns), torch.randperm(200, generator=generator))
    assert torch.equal(restored, patterns)


def test_the_critical_load_is_that_of_the_literature() -> None:
    load, overlap = critical_load()
    assert abs(load - 0.138) < 0.0005 and abs(overlap - 0.967) < 0.001
    assert retrieval_overlap(0.05) > retrieval_overlap(0.13) > 0.96
    assert retrieval_overlap(load + 0.001) == 0.0


def test_few_patterns_are_retrieved_and_many_are_lost() -> None:
    generator = torch.Generator().manual_seed(4)
    assert float(overlaps(200, 0.05, generator).mean()) > 0.99
    assert float(overlaps(200, 0.3, generator).mean()) < 0.7
