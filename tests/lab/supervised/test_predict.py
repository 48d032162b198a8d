"""What a run says of inputs that it has not seen: pictures brought to their size as its own were, and bad ones."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lab.cli.main import main
from lab.data.images import open_images, write_images
from lab.supervised.inference import as_inputs
from lab.supervised.predict import predictions
from lab.supervised.transfer import load_trained
from lab.train.device import Device
from tests.lab.pictures import encoded, write_folder, write_zip
from tests.lab.small_classifier import config, other, written

DEVICE = Device(torch.device("cpu"), "fp32", 1)
FEW = {"held_out": 0.02}
SMALL = {"batch_size": 2, "images_per_iteration": 4}


def run(*arguments: object, code: int = 0) -> None:
    assert main([str(argument) for argument in arguments]) == code


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that is right about most digits."""
    folder = tmp_path_factory.mktemp("digits")
    training = {"batch_size": 25, "decay_images": 4000, "images_per_iteration": 2000}
    file = written(folder, config(data=FEW, budget=4000, training=training, network={"channels": [8, 16]}))
    run("train", file, "--runs-dir", folder, "--name", "digits")
    return folder / "digits"


@pytest.mark.parametrize("kind", ["file", "folder", "zip"])
def test_pictures_are_told_wherever_they_are(
    kind: str, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = open_images("digits")
    assert found.labels is not None
    chosen = {f"{label}.png": found.images[int(np.flatnonzero(found.labels == label)[5]), 0] for label in range(10)}
    files = {name: encoded(picture) for name, picture in chosen.items()}
    if kind == "file":
        source, files = write_folder(tmp_path, files) / "7.png", {"7.png": files["7.png"]}
    else:
        source = write_folder(tmp_path / "all", files) if kind == "folder" else write_zip(tmp_path / "all.zip", files)
    capsys.readouterr()
    run("predict", digits, source, "--json")
    told = json.loads(capsys.readouterr().out)["predictions"]
    assert [line["input"] for line in told] == sorted(files)
    right = [line["class"] == line["input"][0] for line in told]
    assert sum(right) >= 0.8 * len(right) and all(0.1 < line["probability"] <= 1.0 for line in told)


def test_an_image_is_known_by_its_content_and_others_are_named(
    digits: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.asarray(open_images("digits").images[0, 0])
    files = {
        "scan": encoded(picture, "JPEG"),
        "cat/a.jfif": encoded(picture, "JPEG"),
        "dog/b": encoded(picture, "WEBP"),
    }
    source = write_folder(tmp_path / "in", files | {"photo.heic": b"x", ".hidden.png": files["scan"]})
    os.mkfifo(source / "pipe.png")
    run("predict", digits, source, "--json")
    told = json.loads(capsys.readouterr().out)["predictions"]
    assert [line["input"] for line in told] == ["cat/a.jfif", "dog/b", "scan"]
    assert all(name in caplog.text for name in ("photo.heic", ".hidden.png", "pipe.png"))
    run("predict", digits, source / "scan", "--json")
    assert json.loads(capsys.readouterr().out)["predictions"][0]["input"] == "scan"
    run("predict", digits, source / "pipe.png", code=2)
    assert "is not a folder" in capsys.readouterr().err


def test_what_cannot_be_predicted_is_one_line(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table.csv").write_text("a\n1\n")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    cases = {
        "table.csv": "is a table and this run was trained on images",
        "broken.png": "unknown image format",
        "empty": "holds no images",
        "absent.png": "does not exist",
    }
    for name, expected in cases.items():
        capsys.readouterr()
        run("predict", digits, tmp_path / name, code=2)
        error = capsys.readouterr().err
        assert expected in error and "Traceback" not in error


def test_cleaned_pictures_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network, task = {"name": "tower", "channels": 4, "blocks": 1}, {"name": "denoising"}
    settings = other(data=FEW, network=network, task=task, training=SMALL, budget=4)
    run("train", written(tmp_path, settings), "--runs-dir", tmp_path, "--name", "cleaner")
    folder = write_folder(tmp_path / "noisy", {"a.png": encoded(np.full((32, 32), 99, np.uint8))})
    run("predict", tmp_path / "cleaner", folder, "--out", tmp_path / "clean")
    with Image.open(tmp_path / "clean" / "a.png") as picture:
        assert picture.size == (32, 32)
    grey = encoded(np.full((32, 32), 99, np.uint8))
    for names, expected in ((["../out.png"], "outside the folder"), (["a.png", "a.bmp"], "two inputs")):
        outside = write_zip(tmp_path / "bad.zip", dict.fromkeys(names, grey))
        capsys.readouterr()
        run("predict", tmp_path / "cleaner", outside, "--out", tmp_path / "new", code=2)
        assert expected in capsys.readouterr().err and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_pictures_are_brought_to_their_size_as_those_of_the_set_were(fit: str, tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (6, 12, 20), dtype=np.uint8)
    files = {f"{'ab'[i % 2]}/{i}.png": encoded(picture) for i, picture in enumerate(drawn)}
    folder, packed = write_folder(tmp_path / "pictures", files), tmp_path / "packed.safetensors"
    run("data", "pack", folder, packed, "--resolution", 8, "--fit", fit)
    settings = config(data={"source": str(packed)}, network={"channels": [4]}, training=SMALL, budget=4)
    run("train", written(tmp_path, settings), "--runs-dir", tmp_path, "--name", "run")
    trained = load_trained(tmp_path / "run", DEVICE)
    names, inputs, _ = next(predictions(trained, folder))
    assert names == sorted(files)
    assert torch.equal(inputs, as_inputs(torch.from_numpy(np.array(open_images(str(packed)).images))))


def test_a_picture_as_mnist_is_published_is_seen_as_it_was_trained_on(tmp_path: Path) -> None:
    published = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    rule, packed = "published at 28 x 28, centred on black to 32 x 32", tmp_path / "packed.safetensors"
    padded = np.pad(published, ((0, 0), (2, 2), (2, 2)))[:, None]
    write_images(packed, iter(padded), shape=padded.shape, labels=np.arange(6) % 2, classes=("a", "b"), rule=rule)
    settings = config(data={"source": str(packed)}, network={"channels": [4]}, training=SMALL, budget=4)
    run("train", written(tmp_path, settings), "--runs-dir", tmp_path, "--name", "run")
    folder = write_folder(tmp_path / "pictures", {f"{i}.png": encoded(picture) for i, picture in enumerate(published)})
    _, inputs, _ = next(predictions(load_trained(tmp_path / "run", DEVICE), folder))
    assert torch.equal(inputs, as_inputs(torch.from_numpy(padded)))
