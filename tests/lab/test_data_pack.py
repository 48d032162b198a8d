"""Packing pictures, reading them mapped, and their order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lab.data.batches import Batches
from lab.data.fetch import fetch, read_cifar, read_idx
from lab.data.images import ImageSet, open_images
from lab.data.order import indices
from lab.data.pack import pack
from lab.errors import UserError
from tests.command_line import lab


def save(path: Path, size: tuple[int, int], mode: str = "L", colour: object = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]


def test_a_folder_is_labelled_by_its_subfolders_and_resized_to_a_power_of_two(tmp_path: Path) -> None:
    save(tmp_path / "in/cat/a.png", (20, 30))
    save(tmp_path / "in/dog/b.png", (40, 17), "RGB", (9, 8, 7))
    pack(tmp_path / "in", tmp_path / "out.safetensors")
    found = open_images(str(tmp_path / "out.safetensors"))
    assert isinstance(found.images, np.memmap) and found.images.shape == (2, 3, 16, 16)
    assert found.classes == ("cat", "dog") and found.labels is not None and found.labels.tolist() == [0, 1]
    assert (found.images[1] == np.array([9, 8, 7])[:, None, None]).all()


def test_padding_centres_on_black(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.full((3, 28, 28), 200, np.uint8))
    pack(tmp_path / "in.npy", tmp_path / "out.safetensors", resolution=32, fit="pad")
    image = open_images(str(tmp_path / "out.safetensors")).images[0, 0]
    assert (image[2:30, 2:30] == 200).all() and int(image.sum()) == 200 * 28 * 28


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    save(tmp_path / "in/a.png", (8, 8), "RGBA", (0, 0, 0, 0))
    pack(tmp_path / "in", tmp_path / "out.safetensors")
    assert (open_images(str(tmp_path / "out.safetensors")).images == 255).all()


def test_processes_pack_the_same_as_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1100, 3, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "in.npy", pixels)
    one = pack(tmp_path / "in.npy", tmp_path / "1.safetensors")
    two = pack(tmp_path / "in.npy", tmp_path / "2.safetensors", workers=2)
    assert one.fingerprint == two.fingerprint
    assert np.array_equal(open_images(str(tmp_path / "2.safetensors")).images, pixels)


def test_broken_pictures_are_refused_or_skipped(tmp_path: Path) -> None:
    save(tmp_path / "in/a.png", (8, 8))
    (tmp_path / "in/b.png").write_bytes(b"no picture")
    out = tmp_path / "out.safetensors"
    assert "b.png" in lab("data", "pack", tmp_path / "in", out, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert "b.png" in lab("data", "pack", tmp_path / "in", out, "--broken", "skip")
    assert "1 pictures" in lab("data", "inspect", out)
    assert "--overwrite" in lab("data", "pack", tmp_path / "in", out, "--broken", "skip", code=2)


@pytest.mark.parametrize(("name", "message"), [("none", "does not exist"), ("", "no pictures"), ("x.zip", "as a zip")])
def test_a_source_without_pictures_is_one_clear_error(tmp_path: Path, name: str, message: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "x.zip").write_bytes(b"no zip")
    with pytest.raises(UserError, match=message):
        pack(source / name, tmp_path / "out.safetensors")


def test_the_order_is_a_permutation_each_epoch_and_a_function_of_the_counter() -> None:
    whole = indices(7, 3, 0, 21)
    assert all(sorted(whole[k : k + 7].tolist()) == list(range(7)) for k in (0, 7, 14))
    assert np.array_equal(indices(7, 3, 5, 9), whole[5:14])


def test_batches_are_a_function_of_their_start() -> None:
    pixels = np.arange(10, dtype=np.uint8).repeat(16).reshape(10, 1, 4, 4)
    batches = Batches(ImageSet("x", pixels, np.arange(10), tuple("0123456789"), ""), torch.device("cpu"), seed=1)
    first, _ = batches.at(0, 4)
    batches.at(4, 4)
    again, labels = batches.at(0, 4)
    batches.close()
    batches.close()
    assert torch.equal(first, again) and labels is not None and torch.equal(labels, again[:, 0, 0, 0].long())


def test_idx_and_cifar_bytes() -> None:
    assert read_idx(b"\0\0\x08\x02" + (2).to_bytes(4) + (3).to_bytes(4) + bytes(range(6))).tolist() == [
        [0, 1, 2],
        [3, 4, 5],
    ]
    images, labels = read_cifar(bytes([7]) + bytes(3072))
    assert images.shape == (1, 3, 32, 32) and labels.tolist() == [7]


def test_without_a_network_fetching_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(UserError, match="cannot download mnist") as error:
        fetch("mnist")
    assert "\n" not in str(error.value)
