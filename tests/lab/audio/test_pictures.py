"""Recordings as spectrogram images and back, through `lab data spectrograms` and `lab data sound`."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lab.audio.distortion import mel_cepstral_distortion
from lab.audio.mel import log_mel
from lab.audio.pictures import PictureConfig, fitted, from_pixels, load_parameters, square_mel, to_pixels
from lab.audio.wav import read_wav, wav_bytes, write_wav
from lab.cli.main import main
from lab.data.images import open_images
from tests.lab.audio.waves import vowel

PITCHES = {"low_a.wav": 100.0, "low_b.wav": 110.0, "high_a.wav": 220.0, "high_b.wav": 240.0}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A zip of vowels of two classes, at 8 kHz."""
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        for name, pitch in PITCHES.items():
            archive.writestr(f"set/{name}", wav_bytes(vowel(8000, 0.4, pitch), 8000))
        archive.writestr("set/readme.txt", "no recording")
        archive.writestr("__MACOSX/._low_a.wav", "no recording either")
    return tmp_path / "r.zip"


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    return line


def test_images_have_labels_that_packing_reads(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    command = ["data", "spectrograms", str(recordings), str(out), "--size", "32", "--seconds", "0.5"]
    assert main([*command, "--label", "(low|high)_"]) == 0
    assert main(["data", "pack", str(out), str(tmp_path / "set.safetensors"), "--workers", "1"]) == 0
    packed = open_images(str(tmp_path / "set.safetensors"))
    assert packed.classes == ("high", "low") and len(packed) == 4
    assert (packed.resolution, packed.channels) == (32, 1)
    assert packed.labels is not None and sorted(packed.labels.tolist()) == [0, 0, 1, 1]


def test_sound_of_the_images_is_that_of_the_recordings(recordings: Path, tmp_path: Path) -> None:
    images, sound = tmp_path / "images", tmp_path / "sound"
    assert main(["data", "spectrograms", str(recordings), str(images), "--seconds", "0.5", "--only", "low_a"]) == 0
    assert json.loads((images / "dataset.json").read_text()) == {"labels": None}
    config = load_parameters(images / "spectrogram.json")
    assert (config.mel.rate, config.mel.bands, config.frames) == (8000, 64, 64)
    assert main(["data", "sound", str(images), str(sound)]) == 0
    made = read_wav(sound / "set" / "low_a.wav")
    assert made.rate == 8000 and len(made.samples) == config.samples
    real = fitted(vowel(8000, 0.4, 100.0), config.samples)
    # 8 bits over 80 dB and Griffin-Lim; another vowel is several times as far.
    near, other = (
        mel_cepstral_distortion(log_mel(made.samples[None], config.mel)[0], log_mel(wave[None], config.mel)[0])
        for wave in (real, fitted(vowel(8000, 0.4, 240.0), config.samples))
    )
    assert near < 4.0 and other > 1.5 * near


def test_a_test_set_has_the_scale_of_the_training_set(recordings: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    assert main(["data", "spectrograms", str(recordings), str(first), "--only", "low", "--size", "32"]) == 0
    like = str(first / "spectrogram.json")
    assert main(["data", "spectrograms", str(recordings), str(second), "--only", "high", "--like", like]) == 0
    assert (first / "spectrogram.json").read_bytes() == (second / "spectrogram.json").read_bytes()
    assert Image.open(second / "set" / "high_a.png").size == (32, 32)


def test_members_that_lead_out_of_a_zip_are_left_out(recordings: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(recordings, "a") as archive:
        for name in ("../out.wav", "/out.wav", "set/../../out.wav"):
            archive.writestr(name, wav_bytes(vowel(8000, 0.4), 8000))
    assert main(["data", "spectrograms", str(recordings), str(tmp_path / "a" / "o"), "--size", "32"]) == 0
    assert len(list(tmp_path.rglob("*.png"))) == len(list((tmp_path / "a" / "o" / "set").glob("*.png"))) == 4


def test_a_damaged_zip_is_one_line(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(recordings.read_bytes())
    content[content.index(b"data") + 100] ^= 1
    (tmp_path / "bad.zip").write_bytes(content)
    assert "cannot be read" in refused(capsys, "data", "spectrograms", tmp_path / "bad.zip", tmp_path / "o")


def test_pixels_hold_values_to_half_a_step() -> None:
    config = PictureConfig(mel=square_mel(8000, 32, 0.5), frames=32, black=-8.0, white=2.0)
    values = torch.rand(3, 32, 32) * 10.0 - 8.0
    images = to_pixels(values, config)
    assert (from_pixels(images, config) - values).abs().max() <= 0.5 * 10.0 / 255.0 + 1e-6
    rising = torch.arange(32.0)[None, :, None].expand(1, 32, 32)
    assert to_pixels(rising - 8.0, config)[0, 0, -1, 0] < to_pixels(rising - 8.0, config)[0, 0, 0, 0]


def test_a_longer_recording_gives_its_loudest_stretch() -> None:
    wave = torch.cat([torch.full((50,), 0.1), torch.ones(20), torch.full((50,), 0.1)])
    assert torch.equal(fitted(wave, 20), torch.ones(20))
    assert fitted(torch.ones(5), 8).tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_unusual_recordings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "r"
    write_wav(folder / "silent.wav", torch.zeros(4000), 8000)
    write_wav(folder / "long.wav", vowel(8000, 1.0), 8000)
    write_wav(folder / "fine.wav", vowel(44_100, 0.3), 44_100)
    assert main(["data", "spectrograms", str(folder), str(tmp_path / "o"), "--seconds", "0.5", "--rate", "8000"]) == 0
    said = capsys.readouterr().out
    assert "left out 1 silent recordings" in said and "(long.wav)" in said and "its loudest stretch was taken" in said
    assert {path.name for path in (tmp_path / "o").glob("*.png")} == {"long.png", "fine.png"}


def test_what_is_asked_wrongly_is_one_line(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, out = ["data", "spectrograms", recordings], tmp_path / "o"
    assert "is not a regular expression" in refused(capsys, *draw, out, "--label", "(")
    assert "matches --only" in refused(capsys, *draw, out, "--only", "zzz")
    assert "matches nothing in 2 names" in refused(capsys, *draw, out, "--label", "low")
    assert "--size 48 is not" in refused(capsys, *draw, out, "--size", "48")
    assert "does not exist" in refused(capsys, "data", "spectrograms", tmp_path / "none", out)
    assert "neither a folder nor a zip" in refused(capsys, "data", "spectrograms", __file__, out)
    (tmp_path / "bad").mkdir()
    assert "holds no .wav files" in refused(capsys, "data", "spectrograms", tmp_path / "bad", out)
    (tmp_path / "bad" / "x.wav").write_bytes(b"no sound")
    assert "x.wav: it is not a WAV file" in refused(capsys, "data", "spectrograms", tmp_path / "bad", out)
    assert not out.exists()
    image = tmp_path / "x.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    assert "by --parameters" in refused(capsys, "data", "sound", image, tmp_path / "x.wav")
    assert main(["data", "spectrograms", str(recordings), str(out), "--size", "32"]) == 0
    parameters = ["--parameters", out / "spectrogram.json"]
    assert "is not empty" in refused(capsys, *draw, out)
    assert "x.png: images of 1 x 8 x 8 do not fit" in refused(
        capsys, "data", "sound", image, tmp_path / "x.wav", *parameters
    )
    assert "name FILE.wav" in refused(capsys, "data", "sound", image, tmp_path / "x.mp3", *parameters)
    capsys.readouterr()
    assert main(["data", "spectrograms", str(recordings), str(out), "--only", "low_a", "--overwrite"]) == 0
    assert "holds 3 other .png files" in capsys.readouterr().out
    scale = json.loads((out / "spectrogram.json").read_text())
    (tmp_path / "p.json").write_text(json.dumps(scale | {"black": scale["white"] + 1.0}))
    assert "must rise within" in refused(capsys, *draw, tmp_path / "q", "--like", tmp_path / "p.json")
    (tmp_path / "p.json").write_text('{"frames": 3}')
    assert "(mel: Field required)" in refused(
        capsys, "data", "sound", image, tmp_path / "x.wav", "--parameters", tmp_path / "p.json"
    )
