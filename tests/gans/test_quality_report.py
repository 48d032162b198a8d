"""The report: names, the floor, and what a worse generator does to them."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gans.quality.catalogue import CATALOGUE
from gans.quality.features import pixel_features
from gans.quality.ms_ssim import ms_ssim_diversity
from gans.quality.report import Quality


def pictures(count: int, seed: int, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(count, 1, 4, 4, generator=generator) * 255, size=side, mode="bilinear").byte()


class Brightness:
    """Classifies pictures by quarters of their mean brightness."""

    def __call__(self, images: Tensor) -> Tensor:
        return pixel_features(images)

    def classify(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, 0].long() // 64


@pytest.mark.parametrize("side", [8, 32])
def test_every_name_is_catalogued_and_has_a_floor(side: int) -> None:
    quality = Quality(pictures(40, 0, side), Brightness(), seed=0)
    values, floor = quality.grade(pictures(20, 1, side)), quality.floor()
    assert set(floor) == {f"{name}_floor" for name in values}
    assert set(values) | set(floor) <= set(CATALOGUE)
    assert ("quality/swd_16" in values) == (side >= 16)


def test_floor_is_computed_once_and_its_similarity_is_that_of_all_real_pictures() -> None:
    real = pictures(40, 0)
    quality = Quality(real, pixel_features, seed=3)
    floor = quality.floor()
    assert quality.floor() is floor
    assert floor["quality/ms_ssim_floor"] == ms_ssim_diversity(real, seed=3)
    assert floor == Quality(real, pixel_features, seed=3).floor()


def test_more_of_the_same_scores_about_the_floor_and_noise_scores_worse() -> None:
    quality = Quality(pictures(300, 0), pixel_features, seed=0)
    good, floor = quality.grade(pictures(150, 1)), quality.floor()
    noise = torch.randint(0, 256, (150, 1, 32, 32), generator=torch.Generator().manual_seed(2)).byte()
    bad = quality.grade(noise)
    for name in ("quality/swd", "quality/swd_32", "quality/swd_16", "quality/frechet"):
        assert good[name] < 1.5 * floor[f"{name}_floor"]
        assert bad[name] > 3 * floor[f"{name}_floor"]
    assert good["quality/recall"] > bad["quality/recall"] + 0.5


def test_a_collapsed_generator_is_too_alike_and_recalls_nothing() -> None:
    quality = Quality(pictures(100, 0), Brightness(), seed=0)
    found, floor = quality.grade(pictures(1, 1).repeat(50, 1, 1, 1)), quality.floor()
    assert found["quality/ms_ssim"] > 0.99 > floor["quality/ms_ssim_floor"] + 0.2
    assert found["quality/recall"] == 0.0
    assert (found["quality/class_share_min"], found["quality/class_share_max"]) == (0.0, 1.0)
    assert floor["quality/class_share_max_floor"] < 0.5
