"""WAV files of every form that is read, against scipy and the standard library, and one line for the others."""

import io
import random
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from lab.audio.resample import resample
from lab.audio.wav import parse_wav, read_wav, wav_bytes, write_wav
from lab.errors import UserError
from tests.lab.audio.waves import sine

TONE = sine(440.0, 16_000, 0.1).numpy()


def encoded(samples: np.ndarray, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("samples", "error"),
    [
        ((128 + 127 * TONE).round().astype(np.uint8), 1 / 127),
        ((32767 * TONE).round().astype(np.int16), 1 / 32767),
        ((TONE * (2**31 - 1)).astype(np.int32), 1e-6),
        (TONE.astype(np.float32), 0.0),
        (TONE.astype(np.float64), 0.0),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_what_scipy_writes_is_read(samples: np.ndarray, error: float) -> None:
    found = parse_wav(encoded(samples), "x.wav")
    assert found.rate == 16_000 and found.remarks == () and found.seconds == pytest.approx(0.1)
    assert np.abs(found.samples.numpy() - TONE).max() <= error


def test_24_bits_and_two_channels_of_the_standard_library() -> None:
    whole = (TONE * (2**23 - 1)).astype(np.int32)
    frames = b"".join(int(value).to_bytes(3, "little", signed=True) + bytes(3) for value in whole)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(22_050)
        file.writeframes(frames)
    found = parse_wav(buffer.getvalue(), "x.wav")
    assert found.rate == 22_050 and found.remarks == ("2 channels were averaged",)
    assert np.abs(found.samples.numpy() - TONE / 2).max() < 1e-6


def test_what_is_written_is_read_by_others(tmp_path: Path) -> None:
    write_wav(tmp_path / "new" / "x.wav", torch.tensor([0.0, 0.5, 2.0, -2.0]), 8000)
    rate, samples = wavfile.read(tmp_path / "new" / "x.wav")
    assert rate == 8000 and samples.tolist() == [0, 16384, 32767, -32767]
    assert read_wav(tmp_path / "new" / "x.wav").samples.tolist() == pytest.approx([0.0, 0.5, 1.0, -1.0], abs=1e-4)


@pytest.mark.parametrize(
    ("samples", "remark"),
    [
        (np.zeros(500, np.int16), "it is silent"),
        ((8 * TONE).clip(-1.0, 1.0).astype(np.float32), "of its samples are clipped"),
        ((4 * TONE).astype(np.float32), "samples reach 2 times full scale; they were divided by it"),
    ],
)
def test_what_is_wrong_with_the_sound_is_remarked(samples: np.ndarray, remark: str) -> None:
    found = parse_wav(encoded(samples), "x.wav")
    assert len(found.remarks) == 1 and found.remarks[0].endswith(remark)
    assert found.samples.abs().max() <= 1.0


def test_a_recording_that_ends_early_or_whose_length_was_unknown_is_used() -> None:
    sound = encoded((32767 * TONE).astype(np.int16))
    cut = parse_wav(sound[:-1001], "x.wav")
    assert "ends before its header says" in cut.remarks[0]
    assert len(cut.samples) == 1600 - 501
    place = sound.index(b"data") + 4
    piped = sound[:place] + b"\xff" * 4 + sound[place + 4 :]
    assert parse_wav(piped, "x.wav").remarks == () and len(parse_wav(piped, "x.wav").samples) == 1600


SOUND = encoded((32767 * TONE).astype(np.int16))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x04" + bytes(40), "it is MP3, not WAV; convert it: ffmpeg"),
        (b"fLaC" + bytes(40), "it is FLAC"),
        (SOUND[:20], "header is damaged"),
        (SOUND[:36], "has no samples"),
        (SOUND[:44], "holds no samples"),
        (SOUND[:20] + b"\x06\x00" + SOUND[22:], "neither PCM nor float"),
        (SOUND[:22] + b"\x00\x00" + SOUND[24:], "0 channels"),
        (SOUND[:24] + b"\x01\x00\x00\x00" + SOUND[28:], "its rate of 1 Hz"),
        (encoded(np.full(100, np.nan, np.float32)), "NaN or infinite"),
    ],
)
def test_what_cannot_be_read_is_one_line(content: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        parse_wav(content, "x.wav")
    assert str(caught.value).startswith("x.wav: ") and "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.wav", "does not exist"), (tmp_path, "cannot be read")):
        with pytest.raises(UserError, match=words):
            read_wav(path)


def test_damaged_files_are_read_or_one_line() -> None:
    draw = random.Random(0)
    for _ in range(300):
        damaged = bytearray(SOUND[:400])
        for _ in range(draw.randrange(1, 6)):
            damaged[draw.randrange(60)] = draw.randrange(256)
        try:
            found = parse_wav(bytes(damaged[: draw.randrange(401)]), "x.wav")
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert found.samples.isfinite().all() and found.samples.abs().max() <= 1.0


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 16_000])
def test_a_tone_keeps_its_frequency_at_another_rate(rate: int) -> None:
    found = resample(sine(440.0, rate, 0.5), rate, 16_000)
    assert found.shape == (8000,) and found.dtype == torch.float32
    inside = slice(500, 7500)
    assert torch.allclose(found[inside], sine(440.0, 16_000, 0.5)[inside], atol=5e-3)


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    assert resample(sine(6000.0, 16_000, 0.5), 16_000, 8000)[200:-200].abs().max() < 0.01


def test_the_bytes_of_a_wave_are_those_of_its_file(tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", torch.from_numpy(TONE), 16_000)
    assert (tmp_path / "x.wav").read_bytes() == wav_bytes(torch.from_numpy(TONE), 16_000)
