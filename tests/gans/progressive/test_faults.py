"""Mistakes and damage around generated pictures: one clear line, exit code 2, and nothing lost or half written."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lab.cli.main import main
from lab.data.images import ImageSet, open_images, write_images
from lab.nets import export
from tests.command_line import launch, wait_until
from tests.lab import small_classifier


def mistake(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a mistake is answered with."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    lines = [line for line in captured.err.splitlines() if line.startswith("lab: ")]
    assert len(lines) == 1 and captured.err.splitlines()[-1] == lines[0]
    return lines[0]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--out", "x.tar"], "FILE.zip, or a folder"),
        (["--grid", "x.jpg"], "--grid x.jpg: give a file that ends in .png"),
        (["--growth", "x"], "--growth x: give a file that ends in .png"),
        (["--interpolate", "x.avi"], "--interpolate x.avi: give a file that ends in .gif or .mp4"),
        (["--grid", "x.png", "--growth", "./x.png"], "--grid and --growth name the same file"),
        (["--latents", "z.npy", "-n", "3"], "-n and --latents contradict each other"),
        (["--class", "3"], "--class: this run is unconditional"),
        (["--checkpoint", "11"], "has no checkpoint '11'; give best, latest or an iteration of: 13, 12, 10"),
        (["--checkpoint", "newest"], "has no checkpoint 'newest'"),
        (["--latents", "none.npy"], "none.npy: cannot read latents"),
        (["--device", "cuda:99"], "cuda:99"),
    ],
)
def test_a_wrong_option_of_sample_is_named_and_nothing_is_written(
    arguments: list[str],
    expected: str,
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in mistake(capsys, "sample", plain, *arguments)
    assert contents(tmp_path) == {}


def test_options_are_checked_before_the_run_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gans.progressive.verbs.find_run", lambda *_: pytest.fail("the run was looked for"))
    mistake(capsys, "sample", tmp_path, "--grid", tmp_path / "x.jpg", "--runs-dir", tmp_path)


@pytest.mark.parametrize("option", ["--out", "--grid", "--interpolate", "--growth"])
def test_what_exists_is_not_replaced_unasked(
    option: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"--out": "x.zip", "--interpolate": "x.gif"}.get(option, "x.png")
    (tmp_path / name).write_bytes(b"mine")
    assert "exists; --overwrite replaces it" in mistake(capsys, "sample", plain, option, tmp_path / name)
    assert contents(tmp_path) == {name: b"mine"}


def test_a_class_beyond_the_run_s_is_refused(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--class 10: this run has no such class; did you mean '1'? (classes: 0, 1, 2" in mistake(
        capsys, "sample", labelled, "--class", 10
    )


@pytest.mark.parametrize(
    "words",
    [("--grid", "x.png", "-n", 1_000_000), ("--growth", "x.png"), ("--interpolate", "x.gif")],
    ids=lambda w: w[0],
)
def test_images_too_large_for_memory_are_refused(
    words: tuple[object, ...], plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option, name, *more = words
    message = mistake(capsys, "sample", plain, option, tmp_path / str(name), "--scale", 64, *more)
    assert f"{option} would have sides of" in message and "lower -n or --scale" in message
    assert contents(tmp_path) == {}


def with_nan(rows: int) -> np.ndarray:
    latents = np.zeros((rows, 8), np.float32)
    latents[2, 5] = np.nan
    return latents


@pytest.mark.parametrize(
    ("latents", "expected"),
    [
        (np.zeros((3, 9), np.float32), r"holds float32 [3, 9]; latents are float [N, 8]"),
        (np.zeros(8, np.float32), r"holds float32 [8]"),
        (np.zeros((0, 8), np.float32), r"holds float32 [0, 8]"),
        (np.zeros((3, 8), np.int64), r"holds int64 [3, 8]"),
        (with_nan(4), "latent 2 is not finite in float32"),
        (np.full((3, 8), 1e300), "latent 0 is not finite in float32"),
        (np.array([{"no": "pickle"}], dtype=object), "cannot read latents"),
    ],
)
def test_latents_that_are_none_are_refused(
    latents: np.ndarray, expected: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "z.npy", latents)
    line = mistake(capsys, "sample", plain, "--latents", tmp_path / "z.npy", "--out", tmp_path / "x")
    assert expected in line and "z.npy" in line
    assert contents(tmp_path).keys() == {"z.npy"}


def test_files_that_hold_no_array_are_refused(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "few.npy", np.zeros((3, 8), np.float32))
    content = (tmp_path / "few.npy").read_bytes()
    many = content[:10] + content[10:128].replace(b"(3, 8)", b"(%d, 8)" % 10**13)[:117] + b"\n" + content[128:]
    for name, data in {"empty.npy": b"", "text.npy": b"latents", "many.npy": many}.items():
        (tmp_path / name).write_bytes(data)
        assert "cannot read latents" in mistake(capsys, "sample", plain, "--latents", tmp_path / name)
    np.savez(tmp_path / "many.npz", a=np.zeros((2, 8)))
    assert "several arrays" in mistake(capsys, "sample", plain, "--latents", tmp_path / "many.npz")


def test_one_latent_is_no_walk(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "z.npy", np.ones((1, 8)))
    words = ["sample", plain, "--latents", tmp_path / "z.npy", "--interpolate", tmp_path / "x.gif"]
    assert "needs two latents" in mistake(capsys, *words)
    assert not (tmp_path / "x.gif").exists()


def test_a_run_of_another_kind_has_no_pictures(
    classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = mistake(capsys, "sample", classifier, "--out", tmp_path / "x.png")
    assert "is of kind 'supervised', which has no `lab sample`" in line


@pytest.mark.parametrize("words", [["sample"], ["export", "--out", "{}/x.onnx"], ["eval"]], ids=lambda w: w[0])
def test_a_run_whose_checkpoints_are_gone_says_so(
    words: list[str], own_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_copy / "checkpoints").rename(tmp_path / "away")
    arguments = [word.format(tmp_path) for word in words[1:]]
    assert "its checkpoints are gone" in mistake(capsys, words[0], own_copy, *arguments)


def damage(checkpoint: Path) -> None:
    file = checkpoint / "tensors.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_a_damaged_checkpoint_is_passed_over_aloud_or_refused(
    own_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    damage(own_copy / "checkpoints" / "000013")
    assert "is damaged" in mistake(capsys, "sample", own_copy, "--checkpoint", 13, "--out", tmp_path / "a")
    assert main(["sample", str(own_copy), "-n", "1", "--out", str(tmp_path / "a")]) == 0
    assert "after 384 images" in capsys.readouterr().out
    assert "skipped checkpoint" in caplog.text and "000013" in caplog.text
    for number in ("000010", "000012"):
        damage(own_copy / "checkpoints" / number)
    assert "none of its checkpoints is valid" in mistake(capsys, "sample", own_copy, "--out", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_checkpoint_of_another_network_is_refused(own_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = own_copy / "config.yaml"
    file.write_text(file.read_text().replace("fmap_max: 8", "fmap_max: 4"))
    error = mistake(capsys, "sample", own_copy)
    assert "was trained with network.fmap_max=8, but config.yaml now says network.fmap_max=4" in error


@pytest.mark.parametrize("name", ["x.zip", "x", "x.png", "x.gif"])
def test_a_folder_that_cannot_be_written_to_is_named(
    name: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    option = {"x.png": "--grid", "x.gif": "--interpolate"}.get(name, "--out")
    line = mistake(capsys, "sample", plain, "-n", 2, option, tmp_path / "file" / name)
    assert "cannot write" in line and name in line
    assert contents(tmp_path) == {"file": b"no folder"}


def test_a_folder_without_permission_is_named(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("this user may write anywhere")
    assert "cannot write" in mistake(capsys, "sample", plain, "-n", 2, "--out", closed / "x.zip")
    assert "cannot write" in mistake(capsys, "export", plain, "--out", closed / "x.pt2")


def test_a_full_disk_leaves_the_old_file(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.png").write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    assert "No space left" in mistake(capsys, "sample", plain, "--grid", tmp_path / "x.png", "--overwrite")
    assert contents(tmp_path) == {"x.png": b"old"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.zip", "x"])
def test_ctrl_c_while_drawing_leaves_nothing(name: str, plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    process = launch("sample", plain, "-n", "100000", "--out", folder / name)
    wait_until(lambda: folder.is_dir() and any(folder.rglob("*")), process)
    process.send_signal(signal.SIGINT)
    output = "".join(process.communicate(timeout=60))
    assert process.returncode not in (0, 2) and "Traceback" not in output
    assert contents(tmp_path) == {} and list(folder.iterdir()) == []


# Export


def test_an_export_to_another_format_is_refused(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "export to a .onnx or a .pt2 file" in mistake(capsys, "export", plain, "--out", tmp_path / "x.pt")
    (tmp_path / "x.pt2").write_bytes(b"mine")
    assert "exists; --overwrite" in mistake(capsys, "export", plain, "--out", tmp_path / "x.pt2")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_an_exported_file_that_differs_is_removed_and_the_one_before_it_kept(
    suffix: str, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "_answers_of_onnx" if suffix == ".onnx" else "_answers_of_torch"
    right: Callable[..., list[np.ndarray]] = getattr(export, name)
    monkeypatch.setattr(export, name, lambda *arguments: [answer + 0.01 for answer in right(*arguments)])
    old = tmp_path / f"x{suffix}"
    old.write_bytes(b"old")
    assert "differs by 1.0e-02" in mistake(capsys, "export", plain, "--out", old, "--overwrite")
    assert contents(tmp_path) == {old.name: b"old"}


# Evaluation


def packed(path: Path, images: np.ndarray) -> Path:
    write_images(path, ImageSet("packed", images, None, (), ""))
    return path


def test_wrong_sets_and_numbers_of_eval_are_named(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = open_images("digits").images
    few = packed(tmp_path / "few.safetensors", digits[:30])
    colour = packed(tmp_path / "colour.safetensors", digits[:30].repeat(3, 1))
    small = packed(tmp_path / "small.safetensors", digits[:30, :, ::4, ::4])
    cases = {
        ("--samples", 1798): "digits has 1,797 images, fewer than the 1,798 samples",
        ("--against", few, "--samples", 31): "few.safetensors has 30 images, fewer than the 31 samples",
        ("--against", colour): "colour.safetensors has 3 channels and this run's images have 1",
        ("--against", small): "small.safetensors has 8 x 8 images and this run generates 16",
        ("--against", tmp_path / "none.safetensors"): "no folder, file or data set",
        ("--extractor", "nowhere"): "no extractor 'nowhere'",
        ("--extractor", plain): "is a run of kind 'progressive_gan', not supervised",
    }
    for arguments, expected in cases.items():
        assert expected in mistake(capsys, "eval", plain, *arguments)


def test_an_extractor_of_other_channels_is_named_before_anything_is_drawn(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = open_images("digits")
    assert digits.labels is not None
    colour = ImageSet("colour", digits.images[:60].repeat(3, 1), digits.labels[:60], digits.classes, "")
    write_images(tmp_path / "colour.safetensors", colour)
    file = small_classifier.preset(tmp_path, budget=50, data={"source": str(tmp_path / "colour.safetensors")})
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "colour"]) == 0
    monkeypatch.setattr("gans.progressive.verbs.sample_batches", lambda *_: pytest.fail("images were generated"))
    line = mistake(capsys, "eval", plain, "--samples", 20, "--extractor", tmp_path / "colour")
    assert "the classifier was trained on 3 channels and these images have 1" in line


def test_a_damaged_extractor_is_named(
    classifier: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(classifier, tmp_path / "classifier"))
    for checkpoint in (copy / "checkpoints").iterdir():
        damage(checkpoint)
    assert "none of its checkpoints is valid" in mistake(capsys, "eval", plain, "--extractor", copy)
