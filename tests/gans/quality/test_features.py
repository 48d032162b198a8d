"""Distances and coverage of feature sets against SciPy, closed forms and brute force."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from gans.quality.distances import frechet_distance, kernel_distance
from gans.quality.features import extract, load_extractor, pixel_features
from gans.quality.precision_recall import precision_recall
from lab.errors import UserError
from lab.train.device import resolve


def features(count: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator)
    return torch.randn(count, width, generator=generator) @ mixing + shift


def test_frechet_is_that_of_scipy_s_matrix_root() -> None:
    x, y = features(200, 12, 0).double(), features(150, 12, 1, shift=0.5).double()
    one, other = np.cov(x.numpy(), rowvar=False), np.cov(y.numpy(), rowvar=False)
    means = np.sum((x.mean(0) - y.mean(0)).numpy() ** 2)
    wanted = means + np.trace(one + other - 2 * np.real(scipy.linalg.sqrtm(one @ other)))
    assert frechet_distance(x, y) == pytest.approx(wanted, rel=1e-9)


def test_frechet_of_axis_aligned_gaussians_has_a_closed_form() -> None:
    points = features(300, 5, 0).double()
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(torch.cov(points.T)), (points - points.mean(0)).T, upper=False
    ).T
    scales, shift = torch.tensor([1.0, 2.0, 3.0, 0.5, 0.0]).double(), 2.0
    wanted = float(((scales - 1.0) ** 2).sum() + 5 * shift**2)  # |difference of means|^2 + sum of (s1 - s2)^2
    assert frechet_distance(white, white * scales + shift) == pytest.approx(wanted, rel=1e-9)


def test_frechet_bears_singular_covariances() -> None:
    few = features(20, 64, 0)
    assert frechet_distance(few, few) == pytest.approx(0.0, abs=1e-8 * float(few.var(0).sum()))
    assert frechet_distance(few, few + 1.0) == pytest.approx(64.0, rel=1e-4)
    assert frechet_distance(torch.ones(5, 3), torch.zeros(5, 3)) == pytest.approx(3.0)


def test_frechet_ignores_order_and_is_symmetric() -> None:
    x, y = features(100, 8, 0), features(100, 8, 1)
    assert frechet_distance(x.flip(0), y) == pytest.approx(frechet_distance(x, y))
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y))


def test_kernel_is_the_unbiased_estimate_by_brute_force() -> None:
    x, y = features(9, 4, 0).double(), features(9, 4, 1, shift=0.3).double()

    def similar(a: Tensor, b: Tensor) -> float:
        return (float(a @ b) / 4 + 1) ** 3

    pairs = [(i, j) for i in range(9) for j in range(9)]
    within = sum(similar(x[i], x[j]) + similar(y[i], y[j]) for i, j in pairs if i != j) / 72
    wanted = within - 2 * sum(similar(x[i], y[j]) for i, j in pairs) / 81
    assert kernel_distance(x, y, subsets=1) == pytest.approx(wanted, rel=1e-9)


def test_kernel_is_near_0_within_one_distribution_and_the_same_for_a_seed() -> None:
    x = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    apart = kernel_distance(x[:1000], x[1000:] + 0.5, size=500, subsets=10, seed=1)
    assert abs(kernel_distance(x[:1000], x[1000:], size=500, subsets=10, seed=1)) < 0.02 * apart
    assert kernel_distance(x[:1000], x[1000:], size=100, seed=1) == kernel_distance(
        x[:1000], x[1000:], size=100, seed=1
    )
    with pytest.raises(ValueError, match="two"):
        kernel_distance(x[:1], x)


def covered(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    inside = 0
    for point in points:
        for centre in manifold:
            reach = sorted(np.linalg.norm(centre - other) for other in manifold)[k]
            if np.linalg.norm(point - centre) <= reach:
                inside += 1
                break
    return inside / len(points)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_those_of_brute_force(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gans.quality.precision_recall._ROWS", 7)
    x, y = features(40, 3, 0).double(), features(30, 3, 1, shift=1.0).double()
    precision, recall = precision_recall(x, y, k)
    assert precision == pytest.approx(covered(y.numpy(), x.numpy(), k))
    assert recall == pytest.approx(covered(x.numpy(), y.numpy(), k))
    assert 0.0 < precision < 1.0 and 0.0 < recall < 1.0


def test_precision_and_recall_tell_dropped_modes_from_bad_samples() -> None:
    left, right = features(60, 4, 0), features(60, 4, 1) + 100.0
    both = torch.cat([left, right])
    assert precision_recall(both, both) == (1.0, 1.0)
    precision, recall = precision_recall(both, left)
    assert precision == 1.0 and recall == 0.5
    assert precision_recall(left, right) == (0.0, 0.0)


def test_precision_and_recall_know_copies_far_from_the_origin() -> None:
    copies = torch.full((10, 64), 200.1)
    assert precision_recall(copies, copies.clone()) == (1.0, 1.0)


def test_pixel_features_are_block_means() -> None:
    images = torch.randint(0, 256, (3, 2, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    blocks = images.double().view(3, 2, 8, 4, 8, 4).mean((3, 5)).flatten(1) / 255
    assert torch.allclose(pixel_features(images).double(), blocks, atol=1e-6)
    assert torch.equal(extract(pixel_features, images, batch=2), pixel_features(images))


def test_extractors_that_cannot_be_had_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    device = resolve("cpu")
    assert load_extractor("pixels", device) is pixel_features
    with pytest.raises(UserError, match="no extractor 'nowhere'"):
        load_extractor("nowhere", device)
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(UserError, match="inception needs") as caught:
        load_extractor("inception", device)
    assert "\n" not in str(caught.value)
