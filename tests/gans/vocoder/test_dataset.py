"""Recordings of a vocoder: windows within recordings, held-out ones apart, files of every quality."""

import logging
from pathlib import Path

import pytest
import torch

from gans.vocoder.dataset import Speech, open_speech
from lab.audio.wav import write_wav
from lab.errors import UserError
from lab.speech.corpus import is_held_out
from tests.gans.small_vocoder import config
from tests.lab.audio.waves import vowel


def test_windows_lie_within_recordings_and_depend_on_their_number_alone() -> None:
    # Recordings of the samples 0, 1, 2 ... and 1000, 1001, ...: a window must rise by one.
    samples = torch.cat([torch.arange(20.0), 1000 + torch.arange(12.0)])
    data = Speech("x", 10, samples, torch.tensor([0, 20]), torch.tensor([11, 3]), ())
    numbers = torch.arange(4000)
    windows = data.windows(numbers, seed=3)
    assert (windows.diff(dim=1) == 1).all()
    assert set(windows[:, 0].tolist()) == {*range(11), 1000, 1001, 1002}
    assert abs(float((windows[:, 0] >= 1000).float().mean()) - 3 / 14) < 0.03
    assert torch.equal(data.windows(numbers[77:99], seed=3), windows[77:99])
    assert not torch.equal(data.windows(numbers, seed=4), windows)


def test_held_out_recordings_are_whole_and_apart() -> None:
    data = open_speech(config())
    assert len(data.held_out) == 2 and all(len(wave) == 1200 for wave in data.held_out)
    assert len(data.samples) == 4 * 1200
    training = data.samples.view(4, 1200)
    assert all(not torch.equal(one, wave) for one in training for wave in data.held_out)
    assert data.fingerprint() == open_speech(config()).fingerprint() != open_speech(config(seed=1)).fingerprint()


def test_a_folder_with_transcripts_is_split_as_by_a_voice(tmp_path: Path) -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    for number, word in enumerate(words):
        write_wav(tmp_path / "wavs" / f"{word}.wav", torch.full((1200,), (number + 1) / 20), 4000)
    (tmp_path / "metadata.csv").write_text("\n".join(f"{word}|{word}" for word in words))
    data = open_speech(config(data={"source": str(tmp_path), "held_out": 0.3}))
    held = {words[round(float(wave[0]) * 20) - 1] for wave in data.held_out}
    assert held == {word for word in words if is_held_out(word, 0.3)}
    assert 0 < len(held) < 12
    (tmp_path / "metadata.csv").write_text("file,speaker\none.wav,1\n")
    other = open_speech(config(data={"source": str(tmp_path), "held_out": 0.3}))
    assert len(other.held_out) == 4 and "held out at random" in other.remarks[0]
    (tmp_path / "metadata.csv").write_text("one|one")
    assert "too few lines" in open_speech(config(data={"source": str(tmp_path)})).remarks[0]
    (tmp_path / "metadata.csv").write_text("\n".join(f"other {word}|{word}".replace(" ", "_") for word in words))
    assert "too few lines" in open_speech(config(data={"source": str(tmp_path)})).remarks[0]  # of other recordings


def folder(path: Path, *rates: int) -> Path:
    for index, rate in enumerate(rates):
        write_wav(path / f"{index}.wav", vowel(rate, 0.3), rate)
    return path


def test_files_of_other_rates_are_resampled(tmp_path: Path) -> None:
    data = open_speech(config(data={"source": str(folder(tmp_path, 8000, 44_100, 4000))}))
    lengths = [len(data.samples) // 2, *(len(wave) for wave in data.held_out)]
    assert lengths == [1200, 1200] and not data.remarks


def test_short_silent_and_low_recordings_are_used_as_far_as_they_are_of_use(tmp_path: Path) -> None:
    folder(tmp_path, 4000, 4000, 2000)
    write_wav(tmp_path / "short.wav", vowel(4000, 0.01), 4000)
    write_wav(tmp_path / "silent.wav", torch.zeros(4000), 4000)
    data = open_speech(config(data={"source": str(tmp_path), "held_out": 0.1}))
    assert len(data.held_out) == 1 and len(data.offsets) == 3
    assert any("it is silent (silent.wav)" in line for line in data.remarks)
    assert any("its 2000 Hz are fewer than mel.rate 4000 (2.wav)" in line for line in data.remarks)
    assert (data.windows(torch.arange(50), 0).isfinite()).all()


def test_too_few_recordings_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.wav files"):
        open_speech(config(data={"source": str(tmp_path)}))
    folder(tmp_path, 4000)
    with pytest.raises(UserError, match="has 1 usable recording"):
        open_speech(config(data={"source": str(tmp_path)}))


def test_remarks_are_warnings_of_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from gans.vocoder.experiment import build
    from tests.gans.small_vocoder import DEVICE

    folder(tmp_path, 4000, 4000)
    write_wav(tmp_path / "silent.wav", torch.zeros(4000), 4000)
    with caplog.at_level(logging.WARNING):
        build(config(data={"source": str(tmp_path)}), tmp_path, DEVICE)
    assert "1 recording: it is silent (silent.wav)" in caplog.text
