"""Which real pictures are compared with: as many, from the right set, and none of them twice."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gans.progressive.growth import Stage
from gans.progressive.model import Sampler
from gans.progressive.network import Generator
from gans.quality.sets import real_pictures
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
    found = real_pictures(sampler(packed(tmp_path, "own", 80)), "", None)
    assert len(found.real) == 40 and numbers(found.real) | numbers(found.others) == set(range(80))


def test_as_many_as_asked_for_and_as_many_others(tmp_path: Path) -> None:
    found = real_pictures(sampler(packed(tmp_path, "own", 80, side=32)), "", 20)
    assert len(found.real) == 20 == len(numbers(found.others)) and not numbers(found.real) & numbers(found.others)


def test_more_than_half_leave_no_others(tmp_path: Path) -> None:
    found = real_pictures(sampler(packed(tmp_path, "own", 80)), "", 50)
    assert len(numbers(found.real)) == 50 and found.others is None and "25 of the real pictures" in found.floor


def test_against_a_test_set_the_run_s_own_data_scores_the_floor(tmp_path: Path) -> None:
    own, test = packed(tmp_path, "own", 80), packed(tmp_path, "test", 30, first=100)
    found = real_pictures(sampler(own), str(test), None)
    assert numbers(found.real) == set(range(100, 130))
    assert len(numbers(found.others)) == 30 and numbers(found.others) <= set(range(80))
    assert len(numbers(real_pictures(sampler(own), str(test), 20).others)) == 20


def test_against_itself_or_without_the_run_s_data_the_test_set_scores_its_own_floor(tmp_path: Path) -> None:
    own, copy = packed(tmp_path, "own", 80), packed(tmp_path, "copy", 80)
    for source in (own, tmp_path / "gone.safetensors"):
        found = real_pictures(sampler(source), str(copy), 30)
        assert not numbers(found.real) & numbers(found.others) and found.floor == "as many other real pictures"


def test_real_pictures_are_sharp_even_in_a_fade() -> None:
    sharp, fading = (real_pictures(sampler("digits", alpha), "", 20) for alpha in (1.0, 0.5))
    assert torch.equal(sharp.real, fading.real)


def test_a_set_of_a_handful_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 9 pictures, fewer than the 16 samples"):
        real_pictures(sampler(packed(tmp_path, "own", 9)), "", None)
