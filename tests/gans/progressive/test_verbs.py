"""`lab sample`, `lab export` and `lab eval` of a generator: what is in the files, and that they come again."""

import io
import json
import zipfile
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor

from gans.progressive.sampler import Sampler, load_sampler
from gans.progressive.sampling import labels_of, latents_of, sample
from lab.cli.main import main
from lab.data.images import ImageSet, open_images, write_images
from tests.gans.small_gan import DEVICE


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Standard output of a command that succeeds."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def pixels(source: Path | io.BytesIO) -> np.ndarray:
    return np.asarray(Image.open(source))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_of_pictures_comes_again_from_its_seed_however_many_are_drawn(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(capsys, "sample", plain, "-n", 70, "--seed", 3, "--out", tmp_path / "a")
    assert "70 images of 16 x 16 after 416 images in" in line
    said(capsys, "sample", plain, "-n", 5, "--seed", 3, "--out", tmp_path / "b")
    said(capsys, "sample", plain, "-n", 5, "--seed", 4, "--out", tmp_path / "c")
    many, few, others = (contents(tmp_path / name) for name in "abc")
    assert sorted(many) == ["dataset.json", *(f"img{i:08d}.png" for i in range(70))]
    names = sorted(few)[1:]
    assert [few[name] for name in names] == [many[name] for name in names]
    assert all(few[name] != others[name] for name in names)
    wanted = sample(load_sampler(plain, DEVICE), range(5), 3)
    assert (np.stack([pixels(tmp_path / "b" / name) for name in names]) == wanted[:, 0].numpy()).all()


def test_a_zip_is_packed_with_its_labels(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, packed = tmp_path / "new" / "x.zip", tmp_path / "x.safetensors"
    said(capsys, "sample", labelled, "-n", 40, "--seed", 1, "--out", file)
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist()[:2] == ["00000/img00000000.png", "00000/img00000001.png"]
        listed = json.loads(archive.read("dataset.json"))["labels"]
    sampler = load_sampler(labelled, DEVICE)
    labels = labels_of(sampler, range(40), 1)
    assert labels is not None and [label for _, label in listed] == labels.tolist()
    said(capsys, "data", "pack", file, packed)
    data = open_images(str(packed))
    assert data.labels is not None and data.labels.tolist() == labels.tolist()
    assert (data.images == sample(sampler, range(40), 1).numpy()).all()


def test_a_zip_and_a_folder_hold_the_same_and_without_classes_no_labels(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("x.zip", "folder"):
        said(capsys, "sample", plain, "-n", 4, "--out", tmp_path / out)
        said(capsys, "data", "pack", tmp_path / out, tmp_path / f"{out}.safetensors")
    one, other = (open_images(str(tmp_path / f"{out}.safetensors")) for out in ("x.zip", "folder"))
    assert one.labels is None and one.fingerprint == other.fingerprint


def test_one_class_can_be_asked_for(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "sample", labelled, "-n", 4, "--class", 7, "--out", tmp_path / "sevens")
    listed = json.loads((tmp_path / "sevens" / "dataset.json").read_text())["labels"]
    assert [label for _, label in listed] == [7, 7, 7, 7]
    wanted = sample(load_sampler(labelled, DEVICE), range(4), 0, torch.full((4,), 7))
    assert (pixels(tmp_path / "sevens" / "img00000002.png") == wanted[2, 0].numpy()).all()


def test_without_a_file_a_grid_lies_where_one_is(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "64 images" in said(capsys, "sample", plain)
    assert pixels(tmp_path / "samples.png").shape == (8 * 17 - 1, 8 * 17 - 1)


def test_a_grid_and_a_folder_show_the_same_pictures(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "sample", plain, "-n", 4, "--grid", tmp_path / "g.png", "--out", tmp_path / "f")
    sheet = pixels(tmp_path / "g.png")
    for i in range(4):
        top, left = 17 * (i // 2), 17 * (i % 2)
        assert (sheet[top : top + 16, left : left + 16] == pixels(tmp_path / "f" / f"img{i:08d}.png")).all()


def test_overwriting_a_folder_leaves_no_old_picture_and_nobody_else_s_file(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "sample", plain, "-n", 5, "--out", tmp_path / "f")
    (tmp_path / "f" / "notes.txt").write_text("mine")
    said(capsys, "sample", plain, "-n", 2, "--seed", 1, "--out", tmp_path / "f", "--overwrite")
    names = ["dataset.json", "img00000000.png", "img00000001.png", "notes.txt"]
    assert sorted(contents(tmp_path / "f")) == names
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_folder_that_is_there_and_empty_is_filled(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said(capsys, "sample", plain, "-n", 1, "--out", ".")
    assert sorted(contents(tmp_path)) == ["dataset.json", "img00000000.png"]


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_a_walk_has_every_frame_and_begins_with_the_seed_s_pictures(
    suffix: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"walk{suffix}"
    assert "100 frames through 5 latents" in said(capsys, "sample", plain, "-n", 4, "--interpolate", file)
    frames = np.stack(imageio.mimread(file))[..., :3].astype(int)
    size = 33 if suffix == ".gif" else 34  # video wants even sides
    assert frames.shape == (100, size, size, 3)
    first = sample(load_sampler(plain, DEVICE), range(1), 0)[0, 0].numpy()
    assert abs(frames[0, :16, :16, 0] - first).mean() < (1.0 if suffix == ".gif" else 12.0)


def test_grids_and_clips_are_enlarged_to_be_seen(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ("--grid", tmp_path / "g.png", "--growth", tmp_path / "w.png", "--interpolate", tmp_path / "i.gif")
    said(capsys, "sample", plain, "-n", 4, "--scale", 3, *files)
    sampler = load_sampler(plain, DEVICE)
    first = sample(sampler, range(1), 0)[0, 0].numpy()
    enlarged = first.repeat(3, 0).repeat(3, 1)
    side = 2 * 16 * 3 + 1
    assert pixels(tmp_path / "g.png").shape == (side, side)
    assert (pixels(tmp_path / "g.png")[:48, :48] == enlarged).all()
    assert pixels(tmp_path / "w.png").shape == (3 * 49 - 1, 4 * 49 - 1)
    assert imageio.mimread(tmp_path / "i.gif")[0].shape[:2] == (side, side)


def test_growth_shows_the_latents_at_every_resolution(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "5 latents at 3 resolutions" in said(capsys, "sample", plain, "-n", 5, "--growth", tmp_path / "g.png")
    assert pixels(tmp_path / "g.png").shape == (3 * 17 - 1, 5 * 17 - 1)


def test_latents_of_a_file_make_the_pictures_of_the_seed_they_come_from(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "z.npy", latents_of(load_sampler(plain, DEVICE), range(6), 9).double().numpy())
    said(capsys, "sample", plain, "-n", 6, "--seed", 9, "--out", tmp_path / "a", "--growth", tmp_path / "a.png")
    line = said(
        *(capsys, "sample", plain, "--latents", tmp_path / "z.npy", "--out", tmp_path / "b"),
        *("--growth", tmp_path / "b.png", "--interpolate", tmp_path / "b.gif"),
    )
    assert "120 frames through 6 latents" in line
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_an_earlier_checkpoint_can_be_drawn_from(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(capsys, "sample", plain, "-n", 2, "--checkpoint", 12, "--out", tmp_path / "12")
    assert "after 384 images" in line and "alpha 1" not in line
    said(capsys, "sample", plain, "-n", 2, "--out", tmp_path / "latest")
    assert contents(tmp_path / "12") != contents(tmp_path / "latest")


# Export


def generated(sampler: Sampler, latents: Tensor, labels: Tensor | None) -> np.ndarray:
    with torch.no_grad():
        images = sampler.generator(latents, sampler.stage.level, sampler.stage.alpha, labels)
    return images.clamp(-1.0, 1.0).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
@pytest.mark.parametrize("kind", ["plain", "labelled"])
def test_an_exported_network_makes_the_run_s_pictures_at_any_batch_size(
    kind: str, suffix: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = request.getfixturevalue(kind), tmp_path / f"generator{suffix}"
    record = json.loads(said(capsys, "export", run, "--out", file, "--json"))
    assert record["file"] == str(file) and 0.0 <= record["largest_difference"] < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    sampler = load_sampler(run, DEVICE)
    for count in (1, 9):
        latents, labels = latents_of(sampler, range(count), 5), labels_of(sampler, range(count), 5)
        inputs = [latents] if labels is None else [latents, labels]
        if suffix == ".onnx":
            session = onnxruntime.InferenceSession(file)
            names = [node.name for node in session.get_inputs()]
            assert names == ["latents", "labels"][: len(inputs)]
            assert [(node.name, node.shape[0]) for node in session.get_outputs()] == [("images", "batch")]
            found = session.run(None, {name: v.numpy() for name, v in zip(names, inputs, strict=True)})[0]
        else:
            found = torch.export.load(file).module()(*inputs).detach().numpy()
        np.testing.assert_allclose(found, generated(sampler, latents, labels), atol=1e-4)
        assert found.min() >= -1.0 and found.max() <= 1.0


# Evaluation


def test_grades_are_named_and_finite_with_a_floor_of_as_many_pictures(
    plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(said(capsys, "eval", plain, "--samples", 64, "--json"))
    stated = {"run", "images_shown", "resolution", "samples", "real", "against", "extractor", "floor"}
    assert record["samples"] == record["real"] == 64 and record["images_shown"] == 416
    assert record["against"] == "digits" and record["floor"] == "as many other real images"
    measured = {"frechet_distance", "kernel_distance", "precision", "recall", "swd", "swd_16", "ms_ssim"}
    expected = {f"eval/{name}{end}" for name in measured for end in ("", "_floor")}
    assert record.keys() == stated | expected
    assert all(np.isfinite(record[name]) for name in expected)
    # After 416 images nothing looks like a digit; other digits do.
    assert record["eval/frechet_distance"] > 3 * record["eval/frechet_distance_floor"]


def test_eval_says_which_direction_is_better(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "eval", plain, "--samples", 32)
    better = {line.split()[1]: line.rstrip(" │").split("│")[-1].strip() for line in text.splitlines() if "│" in line}
    assert better["frechet_distance"] == "lower" and better["precision"] == "higher"
    assert better["ms_ssim"] == "near the floor" and "floor: what real samples reach" in text


def test_against_a_test_set_the_floor_is_the_run_s_own_pictures(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = open_images("digits")
    dark = ImageSet("dark", digits.images[:100] // 2, None, (), "")
    write_images(tmp_path / "dark.safetensors", dark)
    text = said(capsys, "eval", plain, "--against", tmp_path / "dark.safetensors")
    assert "100 samples against 100 images" in text and "floor: as many images of the run's own data (digits)" in text
    record = json.loads(said(capsys, "eval", plain, "--against", tmp_path / "dark.safetensors", "--json"))
    own = json.loads(said(capsys, "eval", plain, "--samples", 100, "--json"))
    assert record["eval/frechet_distance_floor"] > 3 * own["eval/frechet_distance_floor"]


def test_a_classifier_of_the_lab_measures_and_counts_classes(
    labelled: Path, classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(said(capsys, "eval", labelled, "--samples", 50, "--extractor", classifier, "--json"))
    assert len(record["class_fractions"]) == 10 and sum(record["class_fractions"]) == pytest.approx(1.0)
    assert record["eval/class_fraction_max"] == max(record["class_fractions"])
    assert 0.0 <= record["recognised"] <= 1.0 and 0.0 <= record["recognised_real"] <= 1.0
    # By name, beside the run.
    named = said(
        *(capsys, "eval", labelled, "--samples", 50, "--extractor", "classifier", "--runs-dir", classifier.parent)
    )
    assert "class fractions: " in named and "recognised as the class asked for: " in named
