"""The metrics of pictures against other people's code and closed forms."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from skimage.metrics import structural_similarity

from gans.quality.distances import frechet, kernel
from gans.quality.features import pixel_features
from gans.quality.manifold import precision_recall
from gans.quality.ms_ssim import _ssim, ms_ssim, ms_ssim_diversity
from gans.quality.report import Quality
from gans.quality.swd import _normalised, laplacian_pyramid, sliced_wasserstein


def pictures(count: int, side: int, seed: int, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, side // 4, side // 4, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear").to(torch.uint8)


def test_frechet_against_scipy_and_gaussians() -> None:
    one, other = torch.randn(400, 6) @ torch.randn(6, 6), torch.randn(300, 6) + 1.0
    mean = ((one.mean(0) - other.mean(0)) ** 2).sum().item()
    first, second = (np.cov(x.double().numpy().T) for x in (one, other))
    expected = mean + np.trace(first + second - 2 * scipy.linalg.sqrtm(first @ second).real)
    assert frechet(one, other) == pytest.approx(expected, rel=1e-5)
    assert frechet(one, one) == pytest.approx(0.0, abs=1e-6)
    assert frechet(one, one + 2.0) == pytest.approx(24.0, rel=1e-5)
    flat = torch.cat([one, one], 1)  # a singular covariance
    assert frechet(flat, flat + 1.0) == pytest.approx(12.0, rel=1e-5)


def test_kernel_by_brute_force() -> None:
    x, y = torch.randn(7, 3), torch.randn(7, 3) + 0.5

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within = sum(k(z[i], z[j]) for z in (x, y) for i in range(7) for j in range(7) if i != j) / 42
    expected = within - 2 * sum(k(a, b) for a in x for b in y) / 49
    assert kernel(x, y, subsets=3) == pytest.approx(expected, rel=1e-4)


def test_precision_and_recall_by_brute_force() -> None:
    real, fake = torch.randn(40, 2), torch.randn(30, 2) * 0.5 + 0.5

    def covered(points: torch.Tensor, manifold: torch.Tensor) -> float:
        hits = 0
        for point in points:
            hits += any(
                (point - centre).norm() <= sorted((centre - other).norm() for other in manifold)[3]
                for centre in manifold
            )
        return hits / len(points)

    precision, recall = precision_recall(real, fake)
    assert precision == pytest.approx(covered(fake, real)) and recall == pytest.approx(covered(real, fake))
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real, real + 100.0) == (0.0, 0.0)


def test_one_scale_of_ssim_against_scikit_image() -> None:
    one, other = pictures(1, 48, 0)[0, 0], pictures(1, 48, 1)[0, 0]
    _, full = structural_similarity(
        one.numpy(),
        other.numpy(),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    found = float(_ssim(one[None, None].float(), other[None, None].float())[0])
    assert found == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-4)


def test_five_scales_against_torchmetrics() -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as referee

    one = pictures(3, 192, 0)
    other = (one.float() * 0.8 + torch.randn(one.shape) * 20).clamp(0, 255).to(torch.uint8)
    expected = referee(other.float(), one.float(), data_range=255.0, reduction="none", normalize="relu")
    torch.testing.assert_close(ms_ssim(one, other), expected, atol=5e-3, rtol=0)
    torch.testing.assert_close(ms_ssim(one, one), torch.ones(3))


def test_copies_lack_variety() -> None:
    many, copies = pictures(64, 32, 0), pictures(1, 32, 0).repeat(64, 1, 1, 1)
    assert ms_ssim_diversity(copies, 100) == pytest.approx(1.0)
    assert ms_ssim_diversity(many, 100) < 0.8


def test_the_pyramid_adds_up_and_its_slices_are_scipys() -> None:
    images = pictures(4, 64, 0, 3).float()
    assert [level.shape[-1] for level in laplacian_pyramid(images)] == [64, 32, 16]
    smooth = torch.full((1, 1, 32, 32), 9.0)
    fine, coarse = laplacian_pyramid(smooth)
    assert fine[:, :, 4:-4, 4:-4].abs().max() < 1e-4 and coarse.min() == pytest.approx(9.0)
    a, b = torch.randn(50, 1, 5), torch.randn(50, 1, 5)
    axis = torch.randn(5)
    ours = ((_normalised(a) @ axis).sort().values - (_normalised(b) @ axis).sort().values).abs().mean()
    theirs = scipy.stats.wasserstein_distance((_normalised(a) @ axis).numpy(), (_normalised(b) @ axis).numpy())
    assert float(ours) == pytest.approx(theirs, rel=1e-4)


def test_sliced_wasserstein_tells_like_from_unlike() -> None:
    one, same, noise = pictures(64, 32, 0), pictures(64, 32, 1), torch.randint(0, 256, (64, 1, 32, 32)).to(torch.uint8)
    like, unlike = sliced_wasserstein(one, same), sliced_wasserstein(one, noise)
    assert like.keys() == unlike.keys() == {32, 16}
    assert all(unlike[k] > 3 * like[k] for k in (32, 16))


def test_real_pictures_score_near_their_floor() -> None:
    everything = pictures(400, 32, 0)
    quality = Quality(everything[:200], pixel_features)
    grades, floor = quality.grade(everything[200:]), quality.floor()
    assert {f"{name}_floor" for name in grades} == set(floor)
    noise = quality.grade(torch.randint(0, 256, (200, 1, 32, 32)).to(torch.uint8))
    assert grades["quality/frechet"] < 3 * floor["quality/frechet_floor"] < noise["quality/frechet"]
