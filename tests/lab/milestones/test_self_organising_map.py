"""The self-organising map: its error measures on known maps, and its order after training."""

import torch

from lab.milestones.self_organising_map import folded, lattice, quantisation_error, topographic_error, train


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


def test_random_weights_unfold_over_the_square() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(800, 2, generator=generator, dtype=torch.float64)
    trained = train(x, torch.rand(1, 100, 2, generator=generator, dtype=torch.float64), epochs=40)
    assert float(topographic_error(x, trained)) < 0.1
    assert float(folded(trained)) < 0.02
