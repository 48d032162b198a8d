"""A run whose data file has changed on the disk is not resumed, in every kind that reads one."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lab.audio.wav import wav_bytes
from lab.cli.main import main
from lab.data.images import open_images, write_images
from tests.gans import small_gan, small_series, small_vocoder
from tests.lab import small_classifier, small_grading, small_sequences
from tests.lab.audio.waves import vowel

BUDGET = 64
SHORT = {"batch_size": 16, "images_per_iteration": 32}


def images(folder: Path) -> Path:
    write_images(folder / "set.safetensors", open_images("digits"))
    return folder / "set.safetensors"


def table(folder: Path) -> Path:
    rows = "".join(f"{value / 7:.6f},{value % 2}\n" for value in range(200))
    (folder / "set.csv").write_text("x,target\n" + rows)
    return folder / "set.csv"


def series(folder: Path) -> Path:
    values = np.sin(np.arange(400) / 5.0)
    (folder / "set.csv").write_text("x\n" + "".join(f"{value:+.6f}\n" for value in values))
    return folder / "set.csv"


def examples(folder: Path) -> Path:
    (folder / "set.tsv").write_text("".join(f"{number:03d}\t{number:03d}\n" for number in range(200)))
    return folder / "set.tsv"


def text(folder: Path) -> Path:
    (folder / "set.txt").write_text("one and two make three. " * 100)
    return folder / "set.txt"


def recordings(folder: Path) -> Path:
    (folder / "set.zip").write_bytes(zip_of_vowels(120.0, 150.0))
    return folder / "set.zip"


def zip_of_vowels(*pitches: float) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for pitch in pitches:
            archive.writestr(f"{pitch:g}.wav", wav_bytes(vowel(4000, 0.5, pitch), 4000))
    return buffer.getvalue()


def of_classifier(folder: Path, source: Path) -> Path:
    return small_classifier.preset(folder, training=SHORT, data={"source": str(source)}, budget=BUDGET)


def of_table(folder: Path, source: Path) -> Path:
    settings = {
        "network": {"name": "mlp", "hidden": [4]},
        "data": {"source": str(source)},
        "budget": BUDGET,
        "training": SHORT,
    }
    return small_classifier.written(folder, small_classifier.other(**settings))


def of_gan(folder: Path, source: Path) -> Path:
    return small_gan.preset(folder, data={"source": str(source)}, budget=BUDGET)


def of_series(folder: Path, source: Path) -> Path:
    return small_series.preset(folder, data={"source": str(source), "length": 8}, budget=BUDGET)


def of_examples(folder: Path, source: Path) -> Path:
    return small_sequences.preset(folder, data={"source": str(source)}, budget=BUDGET)


def of_text(folder: Path, source: Path) -> Path:
    changes = {"network": {"shape": "language_model"}, "data": {"source": str(source), "window": 8}, "budget": BUDGET}
    return small_sequences.preset(folder, **changes)


def of_vocoder(folder: Path, source: Path) -> Path:
    return small_vocoder.preset(folder, data={"source": str(source)}, budget=16)


def of_essays(folder: Path, source: Path) -> Path:
    return small_grading.preset(folder, data={"source": str(source)}, training={"decay_examples": 128}, budget=BUDGET)


def flip_bits(content: bytes) -> bytes:
    """500 bytes in the middle of a binary file, each changed in its lowest bit."""
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 1 for byte in content[middle : middle + 500]) + content[middle + 500 :]


def swap_digits(content: bytes) -> bytes:
    return content.replace(b"1", b"\0").replace(b"2", b"1").replace(b"\0", b"2")


def double(content: bytes) -> bytes:
    """A series in another unit: the same once it is standardised."""
    return b"x\n" + b"".join(b"%+.6f\n" % (2 * float(line)) for line in content.split()[1:])


KINDS = {
    "images": (images, of_classifier, flip_bits),
    "gan": (images, of_gan, flip_bits),
    "table": (table, of_table, swap_digits),
    "series": (series, of_series, swap_digits),
    "series in another unit": (series, of_series, double),
    "examples": (examples, of_examples, swap_digits),
    "essays": (small_grading.essay_file, of_essays, lambda content: content.replace(b"First", b"Frist")),
    "text": (text, of_text, lambda content: content.replace(b"two", b"owt")),
    "recordings": (recordings, of_vocoder, lambda content: zip_of_vowels(120.0, 151.0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_file_is_not_gone_on_with(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, preset, change = KINDS[kind]
    source = make(tmp_path)
    assert main(["train", str(preset(tmp_path, source)), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    before, times = source.read_bytes(), source.stat()
    source.write_bytes(change(before))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))  # as silent damage on a disk
    assert source.read_bytes() != before
    capsys.readouterr()
    resume = ["resume", str(tmp_path / "run"), f"budget={2 * BUDGET}"]
    assert main(resume) == 2
    shown = capsys.readouterr().err
    assert str(source) in shown and "put the old data back" in shown and shown.count("\n") == 1, shown
    source.write_bytes(before)
    assert main(resume) == 0


def test_a_damaged_packed_set_is_not_trained_on_or_evaluated_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = images(tmp_path)
    preset, whole = of_classifier(tmp_path, source), source.read_bytes()
    assert main(["train", str(preset), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    source.write_bytes(flip_bits(whole))
    assert main(["train", str(preset), "--runs-dir", str(tmp_path), "--name", "other"]) == 2
    assert "has changed since it was packed" in capsys.readouterr().err
    assert main(["eval", str(tmp_path / "run")]) == 2
    assert "has changed since it was packed" in capsys.readouterr().err


def test_a_complete_run_does_not_read_its_data_again(tmp_path: Path) -> None:
    source = images(tmp_path)
    assert main(["train", str(of_classifier(tmp_path, source)), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    source.write_bytes(flip_bits(source.read_bytes()))
    assert main(["resume", str(tmp_path / "run")]) == 0
