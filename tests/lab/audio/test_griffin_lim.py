"""Waves from spectrograms by Griffin-Lim, whole and in pieces."""

from collections.abc import Iterator

import pytest
import torch

from lab.audio.distortion import mel_cepstral_distortion, spectral_convergence
from lab.audio.griffin_lim import griffin_lim, mel_to_wave, stream_wave
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


@pytest.mark.parametrize("arriving", [1, 7, 80])
def test_a_stream_is_as_near_as_the_whole_and_has_no_seams(arriving: int) -> None:
    spectrogram = log_mel(WAVE, CONFIG)
    parts = spectrogram[0].split(arriving, 1)
    made = torch.cat(list(stream_wave(parts, CONFIG, piece=32, overlap=12)))[None]
    whole = mel_to_wave(spectrogram, CONFIG)
    assert made.shape == whole.shape
    assert convergence(made) < convergence(whole) + 0.1
    seams = (made[0, 1:] - made[0, :-1]).abs().max()
    assert seams < 1.5 * (WAVE[0, 1:] - WAVE[0, :-1]).abs().max()


def test_a_stream_speaks_before_it_has_heard_everything() -> None:
    heard = []

    def parts() -> Iterator[torch.Tensor]:
        for part in log_mel(WAVE, CONFIG)[0].split(8, 1):
            heard.append(part.shape[1])
            yield part

    first = next(stream_wave(parts(), CONFIG, piece=32, overlap=12))
    assert sum(heard) == 32 and len(first) == 20 * 100


def test_an_overlap_without_room_to_fade_is_refused() -> None:
    for overlap in (6, 32):
        with pytest.raises(ValueError, match="must lie between"):
            next(stream_wave([torch.zeros(40, 40)], CONFIG, piece=32, overlap=overlap))
