"""The perceptron: dichotomies against brute force and Cover's count, errors against Novikoff's bound."""

import pytest
import torch

from lab.milestones.perceptron import count, learn, problems, separable


def test_dichotomies_are_those_that_random_planes_make() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    sides = points @ torch.randn(3, 200_000, generator=generator, dtype=torch.float64) > 0.0
    by_planes = {tuple(row) for row in torch.unique(sides.T, dim=0).tolist()}
    assert {tuple(row) for row in separable(points).tolist()} == by_planes


@pytest.mark.parametrize(("points", "dimensions"), [(4, 2), (7, 2), (6, 3), (9, 4), (8, 4)])
def test_the_number_of_dichotomies_is_covers(points: int, dimensions: int) -> None:
    x = torch.randn(points, dimensions, generator=torch.Generator().manual_seed(points), dtype=torch.float64)
    assert len(separable(x)) == count(points, dimensions)


def test_half_of_the_dichotomies_are_separable_at_twice_as_many_points_as_dimensions() -> None:
    assert all(2 * count(2 * n, n) == 4**n for n in range(1, 30))


def test_errors_stay_under_the_bound_and_all_points_end_on_their_side() -> None:
    given = problems(torch.Generator().manual_seed(3))
    learned = learn(given.points, given.labels)
    sides = (given.points @ learned.weights[:, :, None])[:, :, 0] * given.labels
    assert bool(learned.converged.all()) and bool((sides > 0.0).all())
    assert bool((learned.errors <= given.bounds).all())


def test_exclusive_or_is_never_learned() -> None:
    points = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]])
    assert not learn(points, torch.tensor([[-1.0, 1.0, 1.0, -1.0]]), most_epochs=200).converged.any()
