"""Augmentation: what each operation does, how often, and that gradient penalties pass through it."""

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from torch import Tensor

from gans.progressive.augment import GEOMETRY, OPERATIONS, POLICIES, adjust
from gans.progressive.augment import augment as augment_numbered
from gans.progressive.config import AUGMENTATIONS, AugmentConfig
from lab.data.augment import Draws
from lab.data.resample import resample

POLICIES_AND_NAMES = [("diffaug",), ("ada",), *(("ada", name) for name in AUGMENTATIONS)]


def pictures(count: int, side: int = 16, channels: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


def policy(mode: str, *names: str) -> AugmentConfig:
    return AugmentConfig.model_validate({"mode": mode, "policy": names})


def augment(images: Tensor, config: AugmentConfig, probability: float, seed: int, start: int) -> Tensor:
    numbers = torch.arange(start, start + len(images))
    return augment_numbered(images, numbers, config=config, probability=probability, seed=seed)


def changed(before: Tensor, after: Tensor) -> Tensor:
    return (before != after).flatten(1).any(1)


def test_every_operation_can_be_named_and_ada_has_those_that_resample() -> None:
    assert set(AUGMENTATIONS) == OPERATIONS.keys() | GEOMETRY.keys()
    assert set(POLICIES["ada"]) == set(AUGMENTATIONS) - {"cutout"}


@pytest.mark.parametrize("words", POLICIES_AND_NAMES, ids="-".join)
def test_at_probability_0_nothing_is_touched(words: tuple[str, ...]) -> None:
    images = pictures(40)
    assert torch.equal(augment(images, policy(*words), 0.0, 1, 0), images)


@pytest.mark.parametrize("words", [("diffaug",), ("ada",), *(("ada", name) for name in GEOMETRY)], ids="-".join)
def test_at_probability_1_every_picture_changes(words: tuple[str, ...]) -> None:
    images = pictures(200)
    assert changed(images, augment(images, policy(*words), 1.0, 1, 0)).all()


@pytest.mark.parametrize("words", POLICIES_AND_NAMES, ids="-".join)
def test_a_picture_is_changed_by_its_own_number_alone(words: tuple[str, ...]) -> None:
    images = pictures(12)
    together = augment(images, policy(*words), 0.7, seed=3, start=50)
    apart = [augment(images[i : i + 1], policy(*words), 0.7, seed=3, start=50 + i) for i in range(12)]
    torch.testing.assert_close(together, torch.cat(apart), rtol=0, atol=1e-6)
    assert not torch.equal(together, augment(images, policy(*words), 0.7, seed=4, start=50))


@pytest.mark.parametrize("name", ["brightness", "scale", "rotate", "stretch", "fractional_translation"])
def test_each_is_done_to_the_share_of_pictures_asked_for(name: str) -> None:
    count, share = 4000, 0.3
    images = pictures(1, side=4).expand(count, -1, -1, -1)
    done = int(changed(images, augment(images, policy("ada", name), share, 0, 0)).sum())
    assert scipy.stats.binomtest(done, count, share).pvalue > 0.001


def test_rotation_before_and_after_a_stretch_is_done_at_all_to_the_share_asked_for() -> None:
    count, share = 4000, 0.3
    images = pictures(1, side=4).expand(count, -1, -1, -1)
    done = int(changed(images, augment(images, policy("ada", "rotate", "rotate"), share, 0, 0)).sum())
    assert scipy.stats.binomtest(done, count, share).pvalue > 0.001


@pytest.mark.parametrize("words", POLICIES_AND_NAMES, ids="-".join)
def test_gradients_pass_twice(words: tuple[str, ...]) -> None:
    images = pictures(2, side=8).double().requires_grad_()

    def done(values: Tensor) -> Tensor:
        return augment(values, policy(*words), 0.8, 2, 0)

    assert torch.autograd.gradcheck(done, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(done, images, fast_mode=True)


def test_both_derivatives_of_resampling_are_right_entry_by_entry() -> None:
    images = pictures(2, side=5, channels=1).double().requires_grad_()
    sources = torch.eye(3).double() + 0.4 * torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    assert torch.autograd.gradcheck(lambda x: resample(x, sources), images)
    assert torch.autograd.gradgradcheck(lambda x: resample(x, sources), images)


def test_flips_and_quarter_turns_permute_pixels() -> None:
    images = pictures(60, side=8, channels=1)
    flipped = augment(images, policy("ada", "flip"), 1.0, 0, 0)
    turned = augment(images, policy("ada", "rotate90"), 1.0, 0, 0)
    for before, after in zip(images, flipped, strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(2))
    turns = [
        next(k for k in range(4) if torch.equal(after, torch.rot90(before, k, (1, 2))))
        for before, after in zip(images, turned, strict=True)
    ]
    assert set(turns) == {0, 1, 2, 3}


def test_translation_moves_by_whole_pixels_up_to_an_eighth_and_lets_grey_in() -> None:
    images = pictures(80)
    seen = set()
    for before, after in zip(images, augment(images, policy("ada", "translation"), 1.0, 0, 0), strict=True):
        framed = torch.zeros(3, 20, 20)
        framed[:, 2:18, 2:18] = before
        moves = [(y, x) for y in range(5) for x in range(5) if torch.equal(framed[:, y : y + 16, x : x + 16], after)]
        assert len(moves) == 1
        seen.add(moves[0])
    assert len(seen) > 15


def test_cutout_blanks_a_quarter_at_most() -> None:
    images = pictures(80)
    after = augment(images, policy("ada", "cutout"), 1.0, 0, 0)
    blank = after == 0.0
    assert torch.equal(after[~blank], images[~blank])
    shares = blank.float().mean((1, 2, 3))
    assert shares.max() <= 0.25 and shares.min() > 0.0 and shares.unique().numel() > 5


def test_brightness_adds_one_number_to_a_picture() -> None:
    images = pictures(500, side=4)
    added = augment(images, policy("ada", "brightness"), 1.0, 0, 0) - images
    assert (added.amax((1, 2, 3)) - added.amin((1, 2, 3))).max() < 1e-6
    assert scipy.stats.kstest(added[:, 0, 0, 0].numpy() + 0.5, "uniform").pvalue > 0.001


def test_contrast_keeps_the_mean_and_scales_what_differs_from_it() -> None:
    images = pictures(500, side=4).double()
    after = augment(images, policy("ada", "contrast"), 1.0, 0, 0)
    torch.testing.assert_close(after.mean((1, 2, 3)), images.mean((1, 2, 3)))
    factors = (after.std((1, 2, 3)) / images.std((1, 2, 3))).numpy()
    assert scipy.stats.kstest(factors - 0.5, "uniform").pvalue > 0.001


def test_saturation_keeps_grey_and_every_pixel_s_mean() -> None:
    images = pictures(50, side=4).double()
    after = augment(images, policy("ada", "saturation"), 1.0, 0, 0)
    torch.testing.assert_close(after.mean(1), images.mean(1))
    grey = images[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(augment(grey, policy("ada", "saturation"), 1.0, 0, 0), grey)


def maps(name: str) -> np.ndarray:
    return GEOMETRY[name](Draws(0, torch.arange(5000), 0)).double().numpy()


def test_geometry_is_drawn_as_in_the_paper_s_appendix_b() -> None:
    assert (maps("scale")[:, 0, 0] == maps("scale")[:, 1, 1]).all()
    deviation = 0.2 * math.log(2.0)
    for name in ("scale", "stretch"):
        assert scipy.stats.kstest(np.log(maps(name)[:, 0, 0]) / deviation, "norm").pvalue > 0.001
    np.testing.assert_allclose(np.linalg.det(maps("stretch")), 1.0, rtol=1e-6)
    turned = maps("rotate")[:, :2, :2]
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), np.broadcast_to(np.eye(2), turned.shape), atol=1e-6)
    angles = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    assert scipy.stats.kstest(angles / (2 * np.pi) + 0.5, "uniform").pvalue > 0.001
    shifts = maps("fractional_translation")[:, :2, 2] / 2.0  # shares of the side
    assert scipy.stats.kstest(shifts.ravel() / 0.125, "norm").pvalue > 0.001
    assert scipy.stats.pearsonr(*shifts.T).pvalue > 0.001


def test_moves_in_a_row_are_one_map_in_the_order_of_the_policy() -> None:
    images, names = pictures(6), ("scale", "stretch", "rotate", "fractional_translation")
    composed = torch.eye(3)
    for number, name in enumerate(names):
        composed = composed @ GEOMETRY[name](Draws(7, torch.arange(6), number))
    wanted = resample(images, composed)
    torch.testing.assert_close(augment(images, policy("ada", *names), 1.0, 7, 0), wanted, rtol=0, atol=1e-4)


def test_resampling_is_scipy_s() -> None:
    image = pictures(1, side=12, channels=1).double()
    sources = torch.tensor([[0.9, 0.4, 0.3], [-0.5, 1.2, -0.7], [0.0, 0.0, 1.0]]).double()
    # From places in [-1, 1], x first, to pixels, row first: pixel = 6 * place + 5.5.
    matrix = sources[:2, :2].numpy()[::-1, ::-1]
    offset = 6.0 * sources[:2, 2].numpy()[::-1] + 5.5 - matrix @ np.array([5.5, 5.5])
    # A half-sample mirror image, as an explicit border, since SciPy's modes interpolate beyond the edge otherwise.
    framed = np.pad(image[0, 0].numpy(), 24, mode="symmetric")
    wanted = scipy.ndimage.affine_transform(framed, matrix, offset + 24, output_shape=(12, 12), order=1)
    np.testing.assert_allclose(resample(image, sources[None])[0, 0].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_resampled_quarter_turn_is_a_turn_of_pixels(turns: int) -> None:
    image, angle = pictures(1), math.pi / 2 * turns
    sources = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    torch.testing.assert_close(resample(image, sources[None]), torch.rot90(image, turns, (2, 3)), rtol=0, atol=1e-5)


def test_the_gradient_of_resampling_is_its_transpose() -> None:
    x, y = pictures(4).double().requires_grad_(), pictures(4, seed=1).double()
    sources = torch.eye(3).double() + 0.4 * torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    there = resample(x, sources)
    (back,) = torch.autograd.grad(there, x, y)
    torch.testing.assert_close((there * y).sum(), (x * back).sum(), rtol=1e-12, atol=0)


def test_the_places_of_pixels_stay_exact_under_autocast() -> None:
    images = pictures(8, side=64)
    plain = augment(images, policy("ada"), 0.9, 0, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment(images, policy("ada"), 0.9, 0, 0), plain)


def test_the_probability_follows_the_sign_of_real_scores() -> None:
    config = AugmentConfig(mode="ada", target=0.6, speed_images=1000)
    assert adjust(0.5, 0.8, 100, config) == pytest.approx(0.6)
    assert adjust(0.5, 0.4, 100, config) == pytest.approx(0.4)
    assert adjust(0.5, 0.6, 100, config) == 0.5
    assert (adjust(0.95, 0.8, 100, config), adjust(0.05, 0.4, 100, config)) == (1.0, 0.0)
