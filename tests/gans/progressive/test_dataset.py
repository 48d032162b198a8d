"""Reference images of an evaluation: as many as samples, from the right set, none of them twice."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gans.progressive.dataset import reals_at, reference_images
from gans.progressive.growth import Stage
from gans.progressive.network import Generator
from gans.progressive.sampler import Sampler
from lab.data.images import ImageSet, write_images
from lab.errors import UserError
from tests.gans.small_gan import DEVICE, config


def packed(folder: Path, name: str, count: int, side: int = 16, first: int = 0) -> Path:
    """Plain pictures, the i-th of brightness first + i."""
    pixels = (first + np.arange(count, dtype=np.uint8))[:, None, None, None]
    path = folder / f"{name}.safetensors"
    write_images(path, ImageSet(name, np.broadcast_to(pixels, (count, 1, side, side)), None, (), ""))
    return path


def sampler(source: Path | str, alpha: float = 1.0) -> Sampler:
    settings = config(data={"source": str(source)})
    return Sampler(Generator(settings.network), settings, Stage(2, 16, alpha), 0, DEVICE)


def numbers(images: torch.Tensor | None) -> set[int]:
    assert images is not None and images.shape[1:] == (1, 16, 16)
    found = images[:, 0, 0, 0].tolist()
    assert len(set(found)) == len(found)
    return set(found)


def test_by_default_half_of_the_run_s_data_meets_the_other(tmp_path: Path) -> None:
    found = reference_images(sampler(packed(tmp_path, "own", 80)), "", None)
    assert len(found.real) == 40 and numbers(found.real) | numbers(found.others) == set(range(80))


def test_as_many_as_asked_for_and_as_many_others(tmp_path: Path) -> None:
    found = reference_images(sampler(packed(tmp_path, "own", 80, side=32)), "", 20)
    assert len(found.real) == 20 == len(numbers(found.others)) and not numbers(found.real) & numbers(found.others)


def test_more_than_half_leave_no_others(tmp_path: Path) -> None:
    found = reference_images(sampler(packed(tmp_path, "own", 80)), "", 50)
    assert len(numbers(found.real)) == 50 and found.others is None and "25 of the real images" in found.floor


def test_against_a_test_set_the_run_s_own_data_scores_the_floor(tmp_path: Path) -> None:
    own, test = packed(tmp_path, "own", 80), packed(tmp_path, "test", 30, first=100)
    found = reference_images(sampler(own), str(test), None)
    assert numbers(found.real) == set(range(100, 130))
    assert len(numbers(found.others)) == 30 and numbers(found.others) <= set(range(80))
    assert len(numbers(reference_images(sampler(own), str(test), 20).others)) == 20


def test_against_itself_or_without_the_run_s_data_the_test_set_scores_its_own_floor(tmp_path: Path) -> None:
    own, copy = packed(tmp_path, "own", 80), packed(tmp_path, "copy", 80)
    for source in (own, tmp_path / "gone.safetensors"):
        found = reference_images(sampler(source), str(copy), 30)
        assert not numbers(found.real) & numbers(found.others) and found.floor == "as many other real images"


def test_reference_images_are_sharp_even_in_a_fade() -> None:
    sharp, fading = (reference_images(sampler("digits", alpha), "", 20) for alpha in (1.0, 0.5))
    assert torch.equal(sharp.real, fading.real)


def test_a_set_of_a_handful_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 9 images, fewer than the 16 samples"):
        reference_images(sampler(packed(tmp_path, "own", 9)), "", None)


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
