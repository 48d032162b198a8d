"""Multi-scale structural similarity against scikit-image and torchmetrics."""

import sys
from importlib.machinery import ModuleSpec
from unittest.mock import MagicMock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gans.quality.ms_ssim import ms_ssim, ms_ssim_diversity


def pair(side: int, channels: int = 3, count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first = F.interpolate(torch.rand(count, channels, 8, 8, generator=generator) * 255, size=side, mode="bilinear")
    noise = torch.randn(first.shape, generator=generator) * 20
    return first.byte(), (first * 0.9 + noise).clamp(0, 255).byte()


@pytest.mark.parametrize("channels", [1, 3])
def test_one_scale_is_scikit_image_s(channels: int) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    x, y = pair(16, channels)
    wanted = [
        metrics.structural_similarity(
            a.numpy(),
            b.numpy(),
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
        for a, b in zip(x, y, strict=True)
    ]
    assert ms_ssim(x, y).tolist() == pytest.approx(wanted, abs=1e-4)


def test_five_scales_are_torchmetrics_s(monkeypatch: pytest.MonkeyPatch) -> None:
    # Importing torchmetrics imports torch-fidelity, and that torchvision: neither has a part in this metric.
    for name in ("", ".feature_extractor_inceptionv3", ".helpers", ".interpolate_compat_tensorflow"):
        stand_in = MagicMock(FeatureExtractorInceptionV3=torch.nn.Module, __spec__=ModuleSpec(name, None))
        monkeypatch.setitem(sys.modules, f"torch_fidelity{name}", stand_in)
    functional = pytest.importorskip("torchmetrics.functional.image")
    x, y = pair(256)
    wanted = functional.multiscale_structural_similarity_index_measure(
        y.float(), x.float(), data_range=255.0, reduction="none"
    )
    assert ms_ssim(x, y).tolist() == pytest.approx(wanted.tolist(), abs=1e-4)


@pytest.mark.parametrize("side", [4, 8, 16, 32, 64])
def test_equal_images_are_1_and_others_less(side: int) -> None:
    x, y = pair(side)
    assert ms_ssim(x, x).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert (ms_ssim(x, y) < 1.0).all()
    assert ms_ssim(x, y).tolist() == pytest.approx(ms_ssim(y, x).tolist(), abs=1e-6)


def test_diversity_is_the_mean_over_all_pairs_given_enough() -> None:
    x, _ = pair(16, count=4)
    wanted = torch.stack([ms_ssim(x[i : i + 1], x[j : j + 1]) for i in range(4) for j in range(4) if i != j]).mean()
    assert ms_ssim_diversity(x, 4000, seed=0) == pytest.approx(float(wanted), abs=0.02)
    assert ms_ssim_diversity(x, 300, seed=3) == ms_ssim_diversity(x, 300, seed=3)


def test_copies_have_no_diversity() -> None:
    x, _ = pair(16, count=1)
    assert ms_ssim_diversity(x.expand(5, -1, -1, -1), 50, seed=0) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(ValueError, match="two"):
        ms_ssim_diversity(x, 50, seed=0)
