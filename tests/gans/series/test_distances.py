"""Distances of series against closed forms and SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy import signal, stats

from gans.series.config import SyntheticConfig
from gans.series.distances import (
    autocorrelation,
    autocorrelation_distance,
    correlation,
    correlation_distance,
    marginal_distance,
)
from gans.series.synthetic import autoregressive, classes_of, sines


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def test_autocorrelation_is_scipy_s_on_every_series_added_up() -> None:
    series = drawn(7, 20, 2).cumsum(1)
    centred = (series - series.mean((0, 1))).double().numpy()
    for channel in range(2):
        pairs = np.stack([signal.correlate(one, one)[19:] for one in centred[:, :, channel]]).sum(0)
        expected = pairs / (7 * (20 - np.arange(20))) / centred[:, :, channel].var()
        np.testing.assert_allclose(autocorrelation(series, 10)[:, channel], expected[:11], rtol=1e-6, atol=1e-6)


def test_the_autoregressive_process_has_its_closed_form() -> None:
    config = SyntheticConfig(series=20_000, channels=2, autocorrelation=0.7, correlation=0.3)
    series = autoregressive(config, 12, seed=1)
    found = autocorrelation(series, 6)
    for lag in range(7):
        assert found[lag].tolist() == pytest.approx([0.7**lag] * 2, abs=0.02)
    assert float(correlation(series)[0, 1]) == pytest.approx(0.3, abs=0.02)
    assert series.mean((0, 1)).tolist() == pytest.approx([0.0, 0.0], abs=0.02)
    # Stationary from its first step on.
    assert series.std(0).flatten().tolist() == pytest.approx([1.0] * 24, abs=0.03)


def test_the_sines_have_their_closed_form() -> None:
    low, high = 0.05, 0.2
    series = sines(SyntheticConfig(series=20_000, channels=1, frequency=(low, high)), 16, seed=1)
    found = autocorrelation(series, 8)[:, 0]
    for lag in range(1, 9):
        # The mean of cos(2 pi f l) over f.
        angle = 2 * math.pi * lag
        expected = (math.sin(angle * high) - math.sin(angle * low)) / (angle * (high - low))
        assert float(found[lag]) == pytest.approx(expected, abs=0.02)
    # A sine is the only thing that obeys this with one number for all its steps.
    ratio = (series[:, 2:] + series[:, :-2])[:, :, 0], series[:, 1:-1, 0]
    frequency = torch.acos((ratio[0] * ratio[1]).sum(1) / ratio[1].square().sum(1) / 2) / (2 * math.pi)
    assert low - 1e-3 < float(frequency.min()) and float(frequency.max()) < high + 1e-3


def test_classes_of_sines_have_bands_of_their_own() -> None:
    config = SyntheticConfig(series=3000, channels=1, classes=3, frequency=(0.05, 0.2))
    classes = classes_of(config, 0)
    assert classes is not None
    series = sines(config, 16, 0, classes)
    ratio = (series[:, 2:] + series[:, :-2])[:, :, 0], series[:, 1:-1, 0]
    frequency = torch.acos((ratio[0] * ratio[1]).sum(1) / ratio[1].square().sum(1) / 2) / (2 * math.pi)
    for index in range(3):
        own = frequency[classes == index]
        assert 0.05 * (index + 1) - 1e-3 < float(own.min()) and float(own.max()) < 0.05 * (index + 2) + 1e-3


def test_classes_of_the_autoregressive_process_differ_in_autocorrelation() -> None:
    config = SyntheticConfig(series=20_000, channels=1, classes=2, autocorrelation=0.8)
    classes = classes_of(config, 0)
    assert classes is not None
    series = autoregressive(config, 8, 0, classes)
    for index, expected in enumerate((0.4, 0.8)):
        assert float(autocorrelation(series[classes == index], 1)[1]) == pytest.approx(expected, abs=0.02)


def test_two_known_processes_lie_as_far_apart_as_their_autocorrelations() -> None:
    one, other = (
        autoregressive(SyntheticConfig(series=20_000, channels=1, autocorrelation=a), 12, seed)
        for seed, a in enumerate((0.9, 0.5))
    )
    expected = sum(0.9**lag - 0.5**lag for lag in range(1, 7)) / 6
    assert autocorrelation_distance(one, other, 6) == pytest.approx(expected, abs=0.01)
    assert autocorrelation_distance(one, one, 6) == 0.0


def test_correlation_is_numpy_s() -> None:
    series = drawn(5, 9, 3)
    np.testing.assert_allclose(correlation(series), np.corrcoef(series.reshape(45, 3).T), rtol=1e-6)
    flipped = series * torch.tensor([1.0, -1.0, 1.0])
    off = np.corrcoef(series.reshape(45, 3).T)
    expected = 4 * (2 * abs(off[0, 1]) + 2 * abs(off[1, 2])) / 6 / 2
    assert correlation_distance(series, flipped) == pytest.approx(expected, rel=1e-6)
    assert correlation_distance(series[..., :1], flipped[..., :1]) == 0.0


def test_the_marginal_distance_is_scipy_s_of_every_step_and_channel() -> None:
    one, other = drawn(50, 4, 2), 1.5 * drawn(50, 4, 2).flip(0) + 0.3
    expected = np.mean([stats.wasserstein_distance(one[:, t, c], other[:, t, c]) for t in range(4) for c in range(2)])
    assert marginal_distance(one, other) == pytest.approx(expected, rel=1e-6)
    assert marginal_distance(one, one + 0.25) == pytest.approx(0.25, rel=1e-5)


def test_a_series_is_the_same_whatever_else_is_drawn() -> None:
    few, many = SyntheticConfig(series=3, channels=2), SyntheticConfig(series=9, channels=2)
    for draw in (sines, autoregressive):
        assert torch.equal(draw(few, 6, 1), draw(many, 6, 1)[:3])
        assert not torch.equal(draw(few, 6, 1), draw(few, 6, 2))
