"""The sliced Wasserstein distance against SciPy, one projection at a time."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from torch import Tensor

from gans.quality import swd
from gans.quality.swd import laplacian_pyramid, sliced_wasserstein


def random_images(count: int, seed: int, channels: int = 3, side: int = 32) -> Tensor:
    return torch.randint(0, 256, (count, channels, side, side), generator=torch.Generator().manual_seed(seed)).byte()


def smooth_images(count: int, seed: int) -> Tensor:
    return torch.nn.functional.interpolate(random_images(count, seed, side=8).float(), size=32, mode="bilinear").byte()


@pytest.mark.parametrize(("side", "levels"), [(16, [16]), (32, [32, 16]), (128, [128, 64, 32, 16])])
def test_levels_go_from_full_resolution_down_to_16(side: int, levels: list[int]) -> None:
    found = sliced_wasserstein(random_images(2, 0, side=side), random_images(2, 1, side=side), seed=0)
    assert list(found) == [*levels, "average"]
    assert found["average"] == pytest.approx(sum(found[level] for level in levels) / len(levels))


def test_smaller_images_are_refused() -> None:
    with pytest.raises(ValueError, match="8x8"):
        sliced_wasserstein(random_images(2, 0, side=8), random_images(2, 1, side=8), seed=0)


def test_pyramid_is_that_of_scipy() -> None:
    image = random_images(2, 3).float()
    line = np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(line, line)[None, None]
    first = image.double().numpy()
    small = scipy.ndimage.convolve(first, kernel, mode="mirror")[:, :, ::2, ::2]
    spread = np.zeros_like(first)
    spread[:, :, ::2, ::2] = small
    detail = first - scipy.ndimage.convolve(spread, kernel * 4, mode="mirror")
    levels = laplacian_pyramid(image)
    # The zeros between samples make torch's odd border (reflected within the enlarged image) that of SciPy's mirror.
    np.testing.assert_allclose(levels[0].numpy(), detail, atol=1e-3)
    np.testing.assert_allclose(levels[1].numpy(), small, atol=1e-3)


def test_distance_is_the_mean_of_scipy_s_over_the_same_projections() -> None:
    real, fake, seed = random_images(6, 0, side=16), smooth_images(6, 1)[:, :, :16, :16], 5
    found = sliced_wasserstein(real, fake, seed=seed, patches=20, directions=8, repeats=2)[16]
    vectors = []
    for images in (real, fake):
        keys = swd._fingerprints(images, seed)
        patches = swd._patches(images.float(), 20, seed, keys).double().numpy()
        patches = patches - patches.mean((0, 2), keepdims=True)
        vectors.append((patches / patches.std((0, 2), keepdims=True)).reshape(len(patches), -1))
    generator = torch.Generator().manual_seed(seed)
    distances = []
    for _ in range(2):
        axes = torch.randn(3 * 49, 8, generator=generator).double().numpy()
        for axis in (axes / np.linalg.norm(axes, axis=0)).T:
            distances.append(scipy.stats.wasserstein_distance(vectors[0] @ axis, vectors[1] @ axis))
    assert found == pytest.approx(1000 * np.mean(distances), rel=1e-4)


def test_patches_are_cut_out_of_their_own_image() -> None:
    image = random_images(3, 0)
    patches = swd._patches(image.float(), 4, 0, swd._fingerprints(image, 0)).view(3, 4, 3, 7, 7)
    windows = image.float().unfold(2, 7, 1).unfold(3, 7, 1).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
    for own, wanted in zip(patches, windows, strict=True):
        assert (own[:, None] == wanted).flatten(2).all(2).any(1).all()


def test_equal_sets_are_at_distance_0_in_any_order() -> None:
    real = random_images(12, 0)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    assert set(sliced_wasserstein(real, real, seed=1).values()) == {0.0}
    assert sliced_wasserstein(real, real[order], seed=1)["average"] == pytest.approx(0.0, abs=1e-3)


def test_order_does_not_matter() -> None:
    real, fake = random_images(12, 0), smooth_images(12, 1)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    straight = sliced_wasserstein(real, fake, seed=1)
    assert sliced_wasserstein(real[order], fake, seed=1) == pytest.approx(straight, rel=1e-5)


def test_a_seed_gives_one_value() -> None:
    real, fake = random_images(8, 0), smooth_images(8, 1)
    assert sliced_wasserstein(real, fake, seed=1) == sliced_wasserstein(real, fake, seed=1)
    assert sliced_wasserstein(real, fake, seed=1) != sliced_wasserstein(real, fake, seed=2)


def test_other_textures_are_farther_than_other_samples_of_the_same() -> None:
    real = smooth_images(64, 0)
    same = sliced_wasserstein(real, smooth_images(64, 1), seed=0)["average"]
    assert sliced_wasserstein(real, random_images(64, 2), seed=0)["average"] > 2 * same
