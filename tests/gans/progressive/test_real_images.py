"""Real pictures that samples are compared with."""

import numpy as np
import torch

from gans.progressive.growth import Stage
from gans.progressive.real_images import reals_at
from lab.data.images import ImageSet


def sorted_set(count: int = 400) -> ImageSet:
    """Plain pictures whose brightness is their class, sorted."""
    labels = np.arange(count) * 10 // count
    pixels = np.broadcast_to((labels * 20).astype(np.uint8)[:, None, None, None], (count, 1, 8, 8))
    return ImageSet("sorted", np.ascontiguousarray(pixels), labels, tuple("0123456789"), "")


def test_a_part_of_a_sorted_set_has_every_class() -> None:
    found = reals_at(sorted_set(), 100, Stage(1, 8, 1.0))
    assert found.shape == (100, 1, 8, 8)
    assert found[:, 0, 0, 0].unique().tolist() == [20 * k for k in range(10)]


def test_no_picture_comes_twice_and_a_small_set_comes_whole() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
    data = ImageSet("few", pixels, None, (), "")
    found = reals_at(data, 50, Stage(1, 8, 1.0))
    assert len(found.flatten(1).unique(dim=0)) == 30 == len(found)
    assert torch.equal(found, reals_at(data, 50, Stage(1, 8, 1.0)))
