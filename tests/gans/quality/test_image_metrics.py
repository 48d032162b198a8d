"""The report: names, the floor, and what a worse generator does to them."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gans.quality.catalogue import CATALOGUE
from gans.quality.distances import frechet_distance
from gans.quality.features import pixel_features
from gans.quality.image_metrics import ImageMetrics, class_fractions, recognised_fraction
from gans.quality.ms_ssim import ms_ssim_diversity


def images(count: int, seed: int, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(count, 1, 4, 4, generator=generator) * 255, size=side, mode="bilinear").byte()


class Brightness:
    """Classifies images by their brightness in one corner, in five equal parts of which the last is never seen."""

    classes = tuple("01234")

    def __call__(self, images: Tensor) -> Tensor:
        return pixel_features(images)

    def classify(self, features: Tensor) -> Tensor:
        return (features[:, 0] * 4).long()


@pytest.mark.parametrize("side", [8, 32])
def test_every_name_is_catalogued_and_has_a_floor(side: int) -> None:
    quality = ImageMetrics(images(40, 0, side), Brightness(), seed=0)
    values, floor = quality.evaluate(images(20, 1, side)), quality.floor()
    assert set(floor) == {f"{name}_floor" for name in values}
    assert set(values) | set(floor) <= set(CATALOGUE)
    assert ("eval/swd_16" in values) == (side >= 16)


def test_floor_is_computed_once_and_its_similarity_is_that_of_all_real_images() -> None:
    real = images(40, 0)
    quality = ImageMetrics(real, pixel_features, seed=3)
    floor = quality.floor()
    assert quality.floor() is floor
    assert floor["eval/ms_ssim_floor"] == ms_ssim_diversity(real, seed=3)
    assert floor == ImageMetrics(real, pixel_features, seed=3).floor()


def test_with_others_the_floor_is_what_they_score_in_place_of_samples() -> None:
    real, others = images(40, 0), images(40, 1)
    quality = ImageMetrics(real, Brightness(), others=others, seed=3)
    graded, floor = quality.evaluate(others), quality.floor()
    for name in set(graded) - {"eval/ms_ssim", "eval/class_fraction_min", "eval/class_fraction_max"}:
        assert floor[f"{name}_floor"] == graded[name]
    alone = ImageMetrics(real, Brightness(), seed=3).floor()
    for name in ("eval/ms_ssim_floor", "eval/class_fraction_max_floor"):
        assert floor[name] == alone[name]


def test_halves_that_share_nothing_score_the_floor() -> None:
    """Of two kinds of images, one in each half, the floor is their distance."""
    real = torch.cat([images(20, 0), 255 - images(20, 0) // 4])
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    shuffled = torch.empty_like(real)
    shuffled[order] = real  # so that the halves drawn are the kinds
    wanted = frechet_distance(pixel_features(real[:20]), pixel_features(real[20:]))
    assert ImageMetrics(shuffled, pixel_features, seed=3).floor()["eval/frechet_distance_floor"] == pytest.approx(
        wanted, rel=1e-5
    )


def test_shares_of_classes_count_those_that_are_never_seen() -> None:
    features = torch.tensor([[0.1], [0.2], [0.3], [0.99]])
    assert class_fractions(Brightness(), features) == [0.5, 0.25, 0.0, 0.25, 0.0]
    assert class_fractions(pixel_features, features) == []


def test_images_are_recognised_as_what_was_asked_for_by_name() -> None:
    features, labels = torch.tensor([[0.1], [0.3], [0.6], [0.99]]), torch.tensor([0, 1, 1, 0])
    # Parts 0, 1, 2 and 3 of the brightness, asked for as 0, 2, 2 and 0.
    assert recognised_fraction(Brightness(), features, labels, ("0", "2")) == 0.5
    assert recognised_fraction(Brightness(), features, labels, ("0", "unknown")) is None
    assert recognised_fraction(pixel_features, features, labels, ("0", "2")) is None


def test_features_known_already_are_not_extracted_again() -> None:
    fake, calls = images(20, 1), []

    def counted(images: Tensor) -> Tensor:
        calls.append(len(images))
        return pixel_features(images)

    quality = ImageMetrics(images(20, 0), counted, seed=0)
    known = quality.evaluate(fake, pixel_features(fake))
    assert calls == [20] and known == quality.evaluate(fake)


@pytest.mark.slow
def test_more_of_the_same_scores_about_the_floor_and_noise_scores_worse() -> None:
    quality = ImageMetrics(images(300, 0), pixel_features, seed=0)
    good, floor = quality.evaluate(images(150, 1)), quality.floor()
    noise = torch.randint(0, 256, (150, 1, 32, 32), generator=torch.Generator().manual_seed(2)).byte()
    bad = quality.evaluate(noise)
    for name in ("eval/swd", "eval/swd_32", "eval/swd_16", "eval/frechet_distance"):
        assert good[name] < 1.5 * floor[f"{name}_floor"]
        assert bad[name] > 3 * floor[f"{name}_floor"]
    assert good["eval/recall"] > bad["eval/recall"] + 0.5


def test_a_collapsed_generator_is_too_alike_and_recalls_nothing() -> None:
    quality = ImageMetrics(images(100, 0), Brightness(), seed=0)
    found, floor = quality.evaluate(images(1, 1).repeat(50, 1, 1, 1)), quality.floor()
    assert found["eval/ms_ssim"] > 0.99 > floor["eval/ms_ssim_floor"] + 0.2
    assert found["eval/recall"] == 0.0
    assert (found["eval/class_fraction_min"], found["eval/class_fraction_max"]) == (0.0, 1.0)
    assert floor["eval/class_fraction_max_floor"] < 0.5
