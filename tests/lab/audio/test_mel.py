"""Log-mel spectrograms: filters in closed form, the place of a sine, frames of any length, the inverse."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lab.audio.distortion import spectral_convergence
from lab.audio.mel import FLOOR, MelConfig, hertz_to_mel, log_mel, mel_filters, mel_to_hertz, to_magnitude
from lab.audio.stft import inverse_stft, stft
from tests.lab.audio.waves import sine, vowel

CONFIG = MelConfig()
SMALL = MelConfig(rate=8000, fft=256, hop=64, bands=20, high=4000.0)


def test_the_mel_scale_is_slaneys() -> None:
    # Auditory Toolbox: 200/3 Hz a mel up to 1 kHz, which is mel 15; then 27 mels for each factor of 6.4.
    assert hertz_to_mel(np.array([0.0, 200 / 3, 1000.0, 6400.0])) == pytest.approx([0.0, 1.0, 15.0, 42.0])
    frequencies = np.linspace(0.0, 8000.0, 101)
    assert mel_to_hertz(hertz_to_mel(frequencies)) == pytest.approx(frequencies)


def test_filters_are_triangles_of_area_one() -> None:
    # Fine enough a transform that a sum over its frequencies is the integral.
    filters = mel_filters(MelConfig(fft=2**15, hop=200)).double().numpy()
    assert filters.sum(1) * 16_000 / 2**15 == pytest.approx(np.ones(80), rel=1e-3)
    edges = mel_to_hertz(np.linspace(0.0, hertz_to_mel(np.array(8000.0)), 82))
    assert filters.argmax(1) * 16_000 / 2**15 == pytest.approx(edges[1:-1], abs=0.5)


@pytest.mark.parametrize("frequency", [150.0, 440.0, 1000.0, 3000.0, 7000.0])
def test_a_sine_lands_in_its_band(frequency: float) -> None:
    spectrogram = log_mel(sine(frequency, 16_000, 0.5)[None], CONFIG)[0, :, 20]
    centres = mel_to_hertz(np.linspace(0.0, hertz_to_mel(np.array(8000.0)), 82))[1:-1]
    assert int(spectrogram.argmax()) == int(np.abs(hertz_to_mel(centres) - hertz_to_mel(np.array(frequency))).argmin())


def test_a_sine_has_the_magnitude_of_the_closed_form() -> None:
    # On a frequency of the transform: amplitude / 2 times the sum of the Hann window, fft / 2.
    spectrum = stft(sine(1000.0, 16_000, 0.5, amplitude=0.5)[None], 1024, 200)
    assert float(spectrum[0, 64, 20].abs()) == pytest.approx(0.5 / 2 * 512, rel=1e-4)


@pytest.mark.parametrize("samples", [1, 63, 64, 65, 1000])
def test_there_is_a_frame_for_every_started_hop(samples: int) -> None:
    wave = torch.rand(2, samples)
    assert log_mel(wave, SMALL).shape == (2, 20, math.ceil(samples / 64))


def test_the_transform_is_undone() -> None:
    wave = torch.rand(2, 999) - 0.5
    assert torch.allclose(inverse_stft(stft(wave, 256, 64), 256, 64, 999), wave, atol=1e-6)
    assert inverse_stft(stft(wave, 256, 64), 256, 64).shape == (2, 16 * 64)


def test_silence_is_the_floor_and_has_a_gradient() -> None:
    wave = torch.zeros(1, 640, requires_grad=True)
    spectrogram = log_mel(wave, SMALL)
    assert torch.allclose(spectrogram, torch.tensor(math.log(FLOOR)))
    spectrogram.sum().backward()
    assert wave.grad is not None and wave.grad.isfinite().all()


def test_a_spectrogram_differentiates_as_differences_say() -> None:
    wave = vowel(8000, 0.05)[None].double() + 0.1
    wave.requires_grad_()
    config = MelConfig(rate=8000, fft=64, hop=16, bands=6, high=4000.0)
    filters = mel_filters(config).double()

    def energy(wave: torch.Tensor) -> torch.Tensor:
        return (filters @ stft(wave, 64, 16).abs()).log().sum()

    assert torch.autograd.gradcheck(energy, (wave[:, :80],))


def test_magnitudes_are_found_again_as_far_as_the_bands_tell() -> None:
    wave = vowel(16_000, 0.5)[None]
    spectrogram = log_mel(wave, CONFIG)
    magnitude = to_magnitude(spectrogram, CONFIG)
    assert (magnitude >= 0).all()
    assert spectral_convergence(mel_filters(CONFIG) @ magnitude, spectrogram.exp()) < 0.03
    plain = to_magnitude(spectrogram, CONFIG, iterations=0)
    truth = stft(wave, 1024, 200).abs()
    assert spectral_convergence(magnitude, truth) < spectral_convergence(plain, truth)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"high": 9000.0}, "half the rate"),
        ({"low": 5000.0, "high": 4000.0}, "must rise"),
        ({"hop": 600}, "at least twice the hop"),
        ({"bands": 400}, "fewer bands or a larger fft"),
    ],
)
def test_impossible_spectrograms_are_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MelConfig.model_validate(settings)
