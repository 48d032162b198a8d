"""Restricted Boltzmann machines: partition function, learning and annealed importance sampling against enumeration."""

import math

import pytest
import torch

from lab.milestones.annealed_importance import estimate_log_partition, inverse_temperatures
from lab.milestones.rbm import (
    RBM,
    draw,
    hidden_probabilities,
    log_partition,
    log_unnormalised,
    mean_log_likelihood,
    new_rbm,
    states,
    transposed,
)
from lab.milestones.rbm_training import Learning, learn


def random_rbm(visible: int, hidden: int, scale: float = 1.0) -> RBM:
    generator = torch.Generator().manual_seed(1)
    shapes = ((visible, hidden), (visible,), (hidden,))
    return RBM(*(scale * torch.randn(shape, generator=generator) for shape in shapes))


def joint(rbm: RBM) -> torch.Tensor:
    """exp(-E) of all pairs of states, [2**V, 2**H]."""
    v, h = states(len(rbm.visible_bias)), states(len(rbm.hidden_bias))
    return ((v @ rbm.visible_bias)[:, None] + h @ rbm.hidden_bias + v @ rbm.weights @ h.T).double().exp()


@pytest.mark.parametrize(("visible", "hidden"), [(5, 3), (3, 5)])
def test_log_partition_is_the_sum_over_all_states_of_both_sides(visible: int, hidden: int) -> None:
    rbm = random_rbm(visible, hidden)
    assert log_partition(rbm) == pytest.approx(math.log(float(joint(rbm).sum())), abs=1e-5)
    assert log_partition(transposed(rbm)) == pytest.approx(log_partition(rbm), abs=1e-5)


def test_too_many_units_are_not_enumerated() -> None:
    with pytest.raises(ValueError, match="at most 22"):
        log_partition(random_rbm(23, 23))


def test_conditionals_and_free_energy_are_those_of_the_joint_distribution() -> None:
    rbm = random_rbm(4, 3)
    weights, v, h = joint(rbm), states(4), states(3)
    torch.testing.assert_close(log_unnormalised(rbm, v).double(), weights.sum(1).log(), atol=1e-5, rtol=0)
    of_hidden = (weights @ h.double()) / weights.sum(1, keepdim=True)
    torch.testing.assert_close(hidden_probabilities(rbm, v).double(), of_hidden, atol=1e-5, rtol=0)
    of_visible = (weights.T @ v.double()) / weights.sum(0)[:, None]
    torch.testing.assert_close(hidden_probabilities(transposed(rbm), h).double(), of_visible, atol=1e-5, rtol=0)


def test_annealed_importance_sampling_finds_log_z() -> None:
    rbm = random_rbm(24, 10, scale=0.7)
    found = estimate_log_partition(
        rbm,
        torch.zeros(24),
        chains=300,
        temperatures=inverse_temperatures(600),
        generator=torch.Generator().manual_seed(0),
    )
    exact = log_partition(rbm)
    assert found.log_partition == pytest.approx(exact, abs=0.1)
    assert found.low < exact < found.high


def test_annealing_from_the_machine_itself_is_exact() -> None:
    """Without weights and hidden biases all importance weights are equal, whatever the temperatures."""
    bias = torch.tensor([0.5, -2.0, 1.0])
    found = estimate_log_partition(
        RBM(torch.zeros(3, 2), bias, torch.zeros(2)),
        bias,
        chains=5,
        temperatures=inverse_temperatures(10),
        generator=torch.Generator().manual_seed(0),
    )
    exact = sum(math.log1p(math.exp(value)) for value in bias.tolist()) + 2 * math.log(2.0)
    assert found.log_partition == pytest.approx(exact, abs=1e-5)
    assert found.high - found.low < 1e-5


def test_inverse_temperatures_rise_from_0_to_1() -> None:
    values = inverse_temperatures(1000)
    assert len(values) == 1000
    assert values[0] == 0.0 and values[-1] == 1.0
    assert bool((values.diff() > 0).all())


@pytest.mark.parametrize("chains", [0, 100])
def test_learning_raises_the_exact_likelihood_towards_its_upper_bound(chains: int) -> None:
    """No model gives data more than minus their empirical entropy."""
    generator = torch.Generator().manual_seed(7)
    patterns = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 0]]).float().repeat(200, 1)
    data = (patterns - draw(torch.full(patterns.shape, 0.1), generator)).abs()
    share = data.unique(dim=0, return_counts=True)[1] / len(data)
    upper = float((share * share.log()).sum())
    rbm = new_rbm(data, 6, generator, scale=0.1)
    before = mean_log_likelihood(rbm, data, log_partition(rbm))
    learn(rbm, data, Learning(60, 0.2, 30, chains=chains), seed=0)
    after = mean_log_likelihood(rbm, data, log_partition(rbm))
    assert before < upper - 0.8
    assert upper - 0.25 < after < upper


def test_learning_is_a_function_of_the_seed() -> None:
    data = (torch.rand(60, 8, generator=torch.Generator().manual_seed(3)) < 0.3).float()
    found = []
    for seed in (5, 5, 6):
        rbm = new_rbm(data, 4, torch.Generator().manual_seed(0))
        learn(rbm, data, Learning(3, 0.1, 20, chains=10), seed=seed)
        found.append(rbm.weights)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
