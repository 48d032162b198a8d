"""Filters of images: what leaves no noise changes nothing, and each raises the ratio of noisy digits."""

import pytest
import torch
from sklearn.datasets import load_digits

from lab.supervised.baselines.images import filtered, sliding_dct


def test_without_noise_the_dct_threshold_changes_nothing() -> None:
    images = torch.randn(2, 3, 12, 9)
    torch.testing.assert_close(sliding_dct(images, 0.0), images)


def test_of_noise_alone_little_is_left() -> None:
    noise = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(sliding_dct(noise, 1.0).std()) < 0.25


@pytest.mark.parametrize("name", ["Wiener filter, 5x5", "sliding DCT threshold"])
def test_filters_take_noise_from_digits(name: str) -> None:
    clean = torch.from_numpy(load_digits().images[:64]).float()[:, None] / 8.0 - 1.0
    clean = clean.repeat_interleave(4, 2).repeat_interleave(4, 3)
    noisy = clean + 0.4 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    after = filtered(noisy, 0.4)[name]
    assert float((after - clean).square().mean()) < 0.6 * float((noisy - clean).square().mean())
