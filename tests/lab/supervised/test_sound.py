"""Noise at a known ratio, SI-SDR, filters that know the noise, and a run from WAV files to WAV files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.audio.stft import stft
from lab.audio.wav import read_wav, write_wav
from lab.cli.main import main
from lab.supervised.baselines import speech
from lab.supervised.sound.clips import open_clips
from lab.supervised.sound.noise import add_noise, coloured_noise, si_sdr
from lab.supervised.sound.voices import voices
from tests.lab.small_classifier import other, written
from tests.same_run import assert_same_run

SETTINGS: dict[str, Any] = {
    "task": {"name": "speech_denoising", "seconds": 0.5},
    "network": {"name": "spectrum", "fft": 128, "hidden": 16},
    "training": {"batch_size": 8, "images_per_iteration": 64, "decay_images": 192, "learning_rate": 5e-3},
    "budget": 192,
}


def recordings(folder: Path) -> Path:
    """Six WAV files of made voices, of 0.5 to 1.25 s."""
    for number, clip in enumerate(voices(6, 10_000, 8_000, 1)):
        write_wav(folder / "wav" / f"{number}.wav", clip[: 4_000 + 1_200 * number], 8_000)
    return folder / "wav"


@pytest.mark.parametrize("ratio", [-5.0, 0.0, 20.0])
def test_noise_is_added_at_its_ratio(ratio: float) -> None:
    clips, noise = torch.randn(4, 2_000), coloured_noise(0, torch.arange(4), 2_000)
    added = add_noise(clips, noise, torch.full((4,), ratio)) - clips
    found = 10.0 * torch.log10(clips.square().mean(1) / added.square().mean(1))
    torch.testing.assert_close(found, torch.full((4,), ratio), rtol=0.0, atol=1e-3)


def test_noise_depends_on_its_number_alone() -> None:
    torch.testing.assert_close(
        coloured_noise(3, torch.tensor([7, 9]), 500)[1:], coloured_noise(3, torch.tensor([9]), 500)
    )


def test_si_sdr_ignores_scale_and_counts_orthogonal_noise() -> None:
    time = torch.arange(8_000) / 8_000
    clean, noise = torch.sin(2 * np.pi * 50 * time)[None], torch.cos(2 * np.pi * 50 * time)[None]
    for scale in (0.1, 1.0, 7.0):
        assert float(si_sdr(scale * (clean + 0.1 * noise) + 0.3, clean)) == pytest.approx(20.0, abs=1e-2)


def test_voices_are_loud_harmonic_and_functions_of_their_number() -> None:
    found = voices(3, 4_000, 8_000, 0)
    torch.testing.assert_close(found.abs().amax(1), torch.full((3,), 0.5))
    torch.testing.assert_close(voices(1, 4_000, 8_000, 0), found[:1])
    power = stft(found, 512, 128).abs().square()
    flatness = power.clamp_min(1e-9).log().mean(1).exp() / power.mean(1).clamp_min(1e-9)
    assert float(flatness.median()) < 0.1  # white noise has about 0.56


def test_with_the_true_noise_the_classical_gains_are_their_formulas() -> None:
    power, noise = torch.tensor([[[4.0, 1.0, 0.5]]]), torch.tensor([[[1.0]]])
    found = speech.subtraction_gain(power, noise)[0, 0]
    torch.testing.assert_close(found, torch.tensor([0.75**0.5, 0.02, 0.02]))
    steady = speech.wiener_gain(torch.full((1, 1, 4_000), 101.0), noise)[0, 0, -1]
    # The fixed point of the decision-directed ratio lies near the true ratio, 100.
    assert float(steady) == pytest.approx(100.0 / 101.0, abs=0.01)


def test_the_best_mask_beats_both_filters() -> None:
    clean = voices(8, 8_000, 8_000, 2)
    noisy = add_noise(clean, coloured_noise(0, torch.arange(8), 8_000), torch.zeros(8))
    best = si_sdr(speech.ideal(noisy, clean), clean).mean()
    for waves in speech.filtered(noisy).values():
        assert si_sdr(noisy, clean).mean() < si_sdr(waves, clean).mean() < best


def test_recordings_are_cut_into_clips_and_silence_is_left_out(tmp_path: Path) -> None:
    folder = recordings(tmp_path)
    write_wav(folder / "silent.wav", torch.zeros(4_000), 8_000)
    found = open_clips(str(folder), rate=8_000, seconds=0.5)
    # 4000, 5200, 6400, 7600, 8800 and 10000 samples: halves of a clip are filled up.
    assert found.shape == (4_000,) and len(found) == 1 + 1 + 2 + 2 + 2 + 3


@pytest.mark.slow
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    settings = other(data={"source": str(recordings(tmp_path)), "held_out": 0.3}, evaluate={"every": 1}, **SETTINGS)
    file = written(tmp_path, settings)
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "whole"]) == 0
    assert main(["train", str(file), "budget=64", "--runs-dir", str(tmp_path), "--name", "parts"]) == 0
    assert main(["resume", str(tmp_path / "parts"), "budget=192"]) == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow
def test_a_run_denoises_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = recordings(tmp_path)
    settings = other(data={"source": str(folder), "held_out": 0.3}, evaluate={"every": 1}, **SETTINGS)
    file = written(tmp_path, settings)
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "run"), "--baselines", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clips"] == 3 and len(found["baselines"]) == 3 and found["si_sdr_gain_db"] > 0.0
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path / "run"), str(folder / "1.wav"), "--out", str(out)]) == 0
    assert len(read_wav(out / "1.wav").samples) == 5_200
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "run.onnx")]) == 2
    assert "cannot be exported" in capsys.readouterr().err
