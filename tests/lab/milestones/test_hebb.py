"""Hebb's rule grows without bound, Oja's finds the first principal component."""

import torch

from lab.milestones.hebb import angle, first_component, inputs, learn


def test_the_angle_ignores_length_and_sign() -> None:
    axis = torch.tensor([1.0, 0.0])
    weights = torch.tensor([[3.0, 0.0], [-2.0, 0.0], [0.0, 5.0], [1.0, -1.0]])
    assert torch.allclose(angle(weights, axis), torch.tensor([0.0, 0.0, 90.0, 45.0]))


def test_the_first_component_is_that_of_the_singular_value_decomposition() -> None:
    x = inputs(500, torch.Generator().manual_seed(1))
    axis, variance = first_component(x)
    _, values, vectors = torch.linalg.svd(x, full_matrices=False)
    assert abs(float(vectors[0] @ axis)) > 1.0 - 1e-9
    assert abs(variance - float(values[0] ** 2) / 500) < 1e-9


def test_oja_converges_where_hebb_diverges() -> None:
    generator = torch.Generator().manual_seed(0)
    x = inputs(1000, generator)
    hebb = learn(x, decay=False, steps=4000, generator=generator)
    oja = learn(x, decay=True, steps=4000, generator=generator)
    assert bool((hebb.norms[-1] > 1e4).all())
    assert bool(((oja.norms[-1] - 1.0).abs() < 0.05).all())
    assert float(oja.angles[-1].mean()) < 1.5 and float(oja.angles[0].mean()) > 30.0
