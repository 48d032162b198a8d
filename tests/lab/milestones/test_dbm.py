"""Deep Boltzmann machines: likelihood, bound and learning against enumeration of all states."""

import math

import pytest
import torch

from lab.milestones.dbm import DBM, as_rbm, bounds, composed, learn, log_likelihoods, mean_field
from lab.milestones.rbm import RBM, log_partition, states

SIZES = (4, 3, 2)


def random_dbm(scale: float = 1.0) -> DBM:
    v, below, above = SIZES
    generator = torch.Generator().manual_seed(2)
    shapes = ((v, below), (below, above), (v,), (below,), (above,))
    return DBM(*(scale * torch.randn(shape, generator=generator) for shape in shapes))


def all_energies(dbm: DBM) -> torch.Tensor:
    """-E of every state, [2**V, 2**H1, 2**H2]."""
    v, below, above = (states(size) for size in SIZES)
    return (
        (v @ dbm.visible_bias)[:, None, None]
        + (below @ dbm.hidden_bias)[None, :, None]
        + (above @ dbm.top_bias)
        + (v @ dbm.first @ below.T)[:, :, None]
        + (below @ dbm.second @ above.T)
    ).double()


def test_likelihoods_are_those_of_all_states() -> None:
    dbm = random_dbm()
    energies = all_energies(dbm)
    log_z = log_partition(as_rbm(dbm))
    assert log_z == pytest.approx(float(energies.flatten().logsumexp(0)), abs=1e-5)
    found = log_likelihoods(dbm, states(4), log_z)
    torch.testing.assert_close(found, energies.flatten(1).logsumexp(1) - log_z, atol=1e-5, rtol=0)


def test_mean_field_bound_is_below_the_likelihood_and_tight_without_upper_weights() -> None:
    dbm = random_dbm(2.0)
    log_z = log_partition(as_rbm(dbm))
    gap = log_likelihoods(dbm, states(4), log_z) - bounds(dbm, states(4), log_z)
    assert bool((gap > -1e-5).all()) and float(gap.max()) > 1e-3
    factorial = dbm._replace(second=torch.zeros(3, 2))
    log_z = log_partition(as_rbm(factorial))
    torch.testing.assert_close(
        bounds(factorial, states(4), log_z), log_likelihoods(factorial, states(4), log_z), atol=1e-5, rtol=0
    )


def test_mean_field_is_a_fixed_point() -> None:
    dbm = random_dbm()
    middle, top = mean_field(dbm, states(4), 200)
    torch.testing.assert_close(middle, torch.sigmoid(states(4) @ dbm.first + top @ dbm.second.T + dbm.hidden_bias))


def test_learning_raises_the_exact_likelihood() -> None:
    data = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]).repeat(30, 1)
    dbm = random_dbm(0.1)
    before = float(log_likelihoods(dbm, data, log_partition(as_rbm(dbm))).mean())
    learn(
        dbm, data, epochs=400, learning_rate=0.2, batch_size=30, chains=50, mean_field_updates=5, gibbs_steps=2, seed=0
    )
    after = float(log_likelihoods(dbm, data, log_partition(as_rbm(dbm))).mean())
    assert before < -2.0
    assert -math.log(2.0) - 0.5 < after < -math.log(2.0)


def test_composition_keeps_weights_and_averages_the_biases_of_the_middle() -> None:
    first, second = (
        RBM(torch.randn(*shape), torch.randn(shape[0]), torch.randn(shape[1])) for shape in ((4, 3), (3, 2))
    )
    dbm = composed(first, second)
    torch.testing.assert_close(dbm.hidden_bias, (first.hidden_bias + second.visible_bias) / 2)
    assert torch.equal(dbm.first, first.weights) and torch.equal(dbm.top_bias, second.hidden_bias)
