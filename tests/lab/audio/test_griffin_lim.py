"""Waves from spectrograms by Griffin-Lim."""

import pytest
import torch

from lab.audio.distortion import mel_cepstral_distortion, spectral_convergence
from lab.audio.griffin_lim import griffin_lim, mel_to_wave
from lab.audio.mel import MelConfig, log_mel
from lab.audio.stft import stft
from tests.lab.audio.waves import vowel

CONFIG = MelConfig(rate=8000, fft=512, hop=100, bands=40, high=4000.0)
WAVE = vowel(8000, 1.0)[None]
TRUTH = stft(WAVE, 512, 100).abs()


def convergence(wave: torch.Tensor) -> float:
    return spectral_convergence(stft(wave, 512, 100).abs(), TRUTH)


def test_magnitudes_alone_give_a_wave_with_nearly_these_magnitudes() -> None:
    errors = [convergence(griffin_lim(TRUTH, fft=512, hop=100, iterations=count)) for count in (0, 4, 60)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.12


def test_the_fast_form_is_ahead_of_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = convergence(griffin_lim(TRUTH, fft=512, hop=100, iterations=40))
    monkeypatch.setattr("lab.audio.griffin_lim.MOMENTUM", 0.0)
    assert fast < convergence(griffin_lim(TRUTH, fft=512, hop=100, iterations=40))


def test_the_right_phase_is_a_fixed_point() -> None:
    spectrum = stft(WAVE, 512, 100)
    phase = torch.polar(torch.ones_like(spectrum.abs()), spectrum.angle())
    made = griffin_lim(spectrum.abs(), fft=512, hop=100, iterations=5, phase=phase)
    assert torch.allclose(made, WAVE, atol=1e-4)


def test_a_recording_returns_from_its_log_mel_spectrogram() -> None:
    spectrogram = log_mel(WAVE, CONFIG)
    made = mel_to_wave(spectrogram, CONFIG, iterations=60)
    assert made.shape == WAVE.shape
    assert spectral_convergence(log_mel(made, CONFIG).exp(), spectrogram.exp()) < 0.15
    assert mel_cepstral_distortion(log_mel(made, CONFIG)[0], spectrogram[0]) < 2.0
    assert torch.equal(made, mel_to_wave(spectrogram, CONFIG, iterations=60))
    assert not torch.equal(made, mel_to_wave(spectrogram, CONFIG, iterations=60, seed=1))
