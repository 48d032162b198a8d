"""Distances between recordings, in closed form and against plain loops."""

import math

import numpy as np
import pytest
import torch

from lab.audio.distortion import mel_cepstral_distortion, mel_cepstrum, spectral_convergence, warped_mean

SPECTROGRAM = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)) * 2.0 - 5.0


def ripple(order: int) -> torch.Tensor:
    return torch.cos(math.pi * order * (torch.arange(40) + 0.5) / 40)[:, None]


@pytest.mark.parametrize(("order", "height"), [(1, 0.5), (7, 0.2), (13, 1.0)])
def test_a_ripple_over_the_bands_has_the_distortion_of_the_closed_form(order: int, height: float) -> None:
    # Its coefficient differs by `height` in every frame, so no warping helps against a constant spectrogram.
    flat = torch.full((40, 30), -5.0)
    expected = 10.0 / math.log(10.0) * math.sqrt(2.0) * height
    assert mel_cepstral_distortion(flat + height * ripple(order), flat) == pytest.approx(expected, rel=1e-5)
    # The RMS of the ripple in dB: magnitudes have 20 / ln 10 dB in a unit of the logarithm.
    assert expected == pytest.approx(20.0 / math.log(10.0) * height / math.sqrt(2.0))


def test_loudness_tempo_and_fine_structure_do_not_count() -> None:
    assert mel_cepstral_distortion(SPECTROGRAM, SPECTROGRAM) == pytest.approx(0.0, abs=1e-5)
    assert mel_cepstral_distortion(SPECTROGRAM + 3.0, SPECTROGRAM) == pytest.approx(0.0, abs=1e-5)
    assert mel_cepstral_distortion(SPECTROGRAM.repeat_interleave(2, 1), SPECTROGRAM) == pytest.approx(0.0, abs=1e-5)
    assert mel_cepstral_distortion(SPECTROGRAM + ripple(14), SPECTROGRAM) == pytest.approx(0.0, abs=1e-5)


def test_cepstra_give_the_smoothed_spectrum_back() -> None:
    spectrogram = (1.5 * ripple(2) - 0.5 * ripple(9)).numpy() - 4.0
    assert mel_cepstrum(spectrogram)[:, 0] == pytest.approx([0, 1.5, 0, 0, 0, 0, 0, 0, -0.5, 0, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("shape", [(7, 9), (9, 7), (1, 5), (5, 1), (1, 1), (20, 20)])
def test_warping_is_that_of_plain_loops(shape: tuple[int, int]) -> None:
    costs = np.random.default_rng(shape).random(shape)
    total, steps = np.full((shape[0] + 1, shape[1] + 1), np.inf), np.zeros((shape[0] + 1, shape[1] + 1))
    total[0, 0] = 0.0
    for i in range(shape[0]):
        for j in range(shape[1]):
            before = [(i, j), (i, j + 1), (i + 1, j)]
            best = min(before, key=lambda place: total[place])
            total[i + 1, j + 1], steps[i + 1, j + 1] = total[best] + costs[i, j], steps[best] + 1
    assert warped_mean(costs) == pytest.approx(total[-1, -1] / steps[-1, -1])


def test_convergence_is_relative_and_an_empty_recording_has_no_distortion() -> None:
    assert spectral_convergence(torch.full((3, 4), 1.5), torch.ones(3, 4)) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="empty recording"):
        mel_cepstral_distortion(torch.zeros(40, 0), SPECTROGRAM)
