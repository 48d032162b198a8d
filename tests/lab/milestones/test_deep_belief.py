"""Deep belief networks: the variational bound against enumeration, and weights that move into a classifier."""

import math

import pytest
import torch

from lab.milestones.deep_belief_bound import DeepBelief, likelihood, stacked
from lab.milestones.layered_classifier import LayeredClassifier
from lab.milestones.rbm import RBM, hidden_probabilities, log_partition, mean_log_likelihood, states


def random_rbm(visible: int, hidden: int, seed: int) -> RBM:
    generator = torch.Generator().manual_seed(seed)
    return RBM(*(torch.randn(shape, generator=generator) for shape in ((visible, hidden), (visible,), (hidden,))))


def test_network_with_tied_weights_is_the_rbm_and_its_bound_is_exact() -> None:
    rbm = random_rbm(6, 4, 0)
    data = states(6)[::5]
    alone = mean_log_likelihood(rbm, data, log_partition(rbm))
    found = likelihood(stacked(rbm), data)
    assert found.exact == pytest.approx(alone, abs=1e-5)
    assert found.bound == pytest.approx(alone, abs=1e-5)


def test_probabilities_add_up_to_1_and_the_bound_is_below() -> None:
    network = DeepBelief(random_rbm(5, 4, 0), random_rbm(4, 3, 1))
    each = [likelihood(network, visible[None]) for visible in states(5)]
    assert sum(math.exp(one.exact) for one in each) == pytest.approx(1.0, abs=1e-5)
    assert all(one.bound < one.exact for one in each)


def test_stacked_top_is_a_copy() -> None:
    rbm = random_rbm(3, 2, 0)
    network = stacked(rbm)
    network.top.weights.zero_()
    assert bool(rbm.weights.any())


def test_classifier_takes_the_weights_of_rbms() -> None:
    first, second = random_rbm(6, 4, 0), random_rbm(4, 3, 1)
    network = LayeredClassifier(6, (4, 3), 10)
    network.take([first, second])
    visible = states(6)
    expected = hidden_probabilities(second, hidden_probabilities(first, visible))
    found = torch.nn.Sequential(*list(network)[:4])(visible)
    torch.testing.assert_close(found, expected)
