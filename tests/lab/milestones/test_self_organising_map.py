"""The self-organising map: its error measures on known maps, and its order after training."""

import pytest
import torch

from lab.milestones.self_organising_map import (
    folded,
    lattice,
    least_quantisation_error,
    quantisation_error,
    topographic_error,
    train,
)


def test_a_lattice_is_ordered_and_a_shuffled_one_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    flat = lattice(10) / 9.0
    shuffled = flat[torch.randperm(100, generator=generator)]
    maps = torch.stack([flat, flat.flip(1), shuffled])
    x = torch.rand(1000, 2, generator=generator, dtype=torch.float64)
    error, folds = topographic_error(x, maps), folded(maps)
    assert error[:2].tolist() == [0.0, 0.0] and error[2] > 0.8
    assert folds[:2].tolist() == [0.0, 0.0] and folds[2] > 0.3


def test_samples_on_units_have_no_quantisation_error() -> None:
    assert float(quantisation_error(lattice(10), lattice(10)[None])) == 0.0


def test_the_least_quantisation_error_is_that_of_hexagons_and_below_that_of_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    side = (2.0 / 3.0**0.5) ** 0.5  # between neighbours of a triangular lattice whose cells have area 1
    rows = lattice(10)[:, 0] * side * 3.0**0.5 / 2.0
    units = torch.stack([(lattice(10)[:, 1] + 0.5 * (lattice(10)[:, 0] % 2)) * side, rows], 1)
    x = 3.0 + 3.0 * torch.rand(40_000, 2, generator=generator, dtype=torch.float64)  # far from the border
    least = least_quantisation_error(1)
    assert float(quantisation_error(x, units[None])) == pytest.approx(least, rel=0.01)
    squares = float(quantisation_error(x, lattice(10)[None]))
    assert squares == pytest.approx(0.3826, rel=0.01) and squares > least
    assert least_quantisation_error(100) == pytest.approx(least / 10.0)


def test_random_weights_unfold_over_the_square() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(800, 2, generator=generator, dtype=torch.float64)
    trained = train(x, torch.rand(1, 100, 2, generator=generator, dtype=torch.float64), epochs=40)
    assert float(topographic_error(x, trained)) < 0.1
    assert float(folded(trained)) < 0.02
