"""Arrays in .npy and .npz files are mapped, wherever they lie, and nothing is left beside the packed file."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from lab.data.arrays import open_arrays, read_image
from lab.data.images import open_images
from lab.data.pack import pack
from lab.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 2, 1, 0, 2, 1])


def read_back(folder: Path, source: Path) -> np.ndarray:
    """Pack a source into `folder` and return the images as [N, H, W, C]."""
    pack(source, folder / "out.safetensors")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    found = open_images(str(folder / "out.safetensors"))
    assert found.labels is None or found.labels.tolist() == LABELS.tolist()
    return found.images.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_and_labels_of_an_npz(tmp_path: Path, save: object) -> None:
    save(tmp_path / "in.npz", images=PIXELS, labels=LABELS)  # type: ignore[operator]
    assert np.array_equal(read_back(tmp_path, tmp_path / "in.npz"), PIXELS)


@pytest.mark.parametrize("layout", ["C", "F"])
def test_any_layout_in_memory(tmp_path: Path, layout: str) -> None:
    np.savez(tmp_path / "in.npz", labels=LABELS, images=np.asarray(PIXELS, order=layout))  # type: ignore[call-overload]
    assert np.array_equal(read_back(tmp_path, tmp_path / "in.npz"), PIXELS)


def test_channels_may_come_first_or_be_missing(tmp_path: Path) -> None:
    np.save(tmp_path / "first.npy", PIXELS.transpose(0, 3, 1, 2))
    assert np.array_equal(read_back(tmp_path, tmp_path / "first.npy"), PIXELS)
    (tmp_path / "out.safetensors").unlink()
    np.save(tmp_path / "grey.npy", PIXELS[..., 0])
    assert np.array_equal(read_back(tmp_path, tmp_path / "grey.npy"), PIXELS[..., :1])


def test_a_stored_member_is_read_where_it_lies(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", images=PIXELS)
    pixels, _ = open_arrays(tmp_path / "in.npz", tmp_path / "scratch")
    assert pixels.path == tmp_path / "in.npz" and not (tmp_path / "scratch").exists()
    picture = read_image(pixels, "4")
    assert isinstance(picture.base, np.memmap) and np.array_equal(picture, PIXELS[4])


def test_a_compressed_member_is_mapped_from_a_file_beside(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "in.npz", images=PIXELS)
    pixels, _ = open_arrays(tmp_path / "in.npz", tmp_path / "scratch")
    assert pixels.path == tmp_path / "scratch"
    assert isinstance(read_image(pixels, "4").base, np.memmap)


def test_nothing_is_left_when_packing_a_compressed_npz_fails(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "in.npz", images=np.zeros((3, 2, 2), np.uint8))
    with pytest.raises(UserError, match="a side below 4"):
        pack(tmp_path / "in.npz", tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": PIXELS[..., :2]}, r"images are uint8 \[6, 8, 8, 2\], not"),
        ({"images": PIXELS / 255}, "images are float64"),
        ({"images": PIXELS[:0]}, "no images"),
        ({"pixels": PIXELS}, "images"),
        ({"images": PIXELS, "labels": LABELS[:5]}, r"labels are int64 \[5\], not"),
        ({"images": PIXELS, "labels": LABELS - 1}, "not integers from 0"),
        ({"images": PIXELS, "labels": LABELS / 2}, "labels are float64"),
        ({"images": np.array([{}, {}], dtype=object)}, "images are object"),
    ],
)
def test_arrays_that_are_no_pictures_are_one_clear_error(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message) as error:
        pack(tmp_path / "in.npz", tmp_path / "out.safetensors")
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


def test_a_file_cut_short_is_one_clear_error(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", PIXELS)
    np.savez(tmp_path / "in.npz", images=PIXELS)
    for path in (tmp_path / "in.npy", tmp_path / "in.npz"):
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(UserError, match="cannot be read as images"):
            pack(path, tmp_path / "out.safetensors")


def test_a_damaged_compressed_member_is_one_clear_error_and_nothing_is_left(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "in.npz", images=PIXELS)
    with zipfile.ZipFile(tmp_path / "in.npz") as file:
        middle = file.getinfo("images.npy").compress_size // 2
    content = bytearray((tmp_path / "in.npz").read_bytes())
    content[middle] ^= 255
    (tmp_path / "in.npz").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as images"):
        pack(tmp_path / "in.npz", tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "b"), "has no array named images, only a, b; write it by"),
        ((), "has no array named images, for it is empty"),
        (("train_images", "train_labels", "test_images"), r"MedMNIST.*file\['train_labels'\]\.ravel\(\)"),
    ],
)
def test_an_npz_without_images_says_what_it_holds(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with zipfile.ZipFile(tmp_path / "in.npz", "w"):
        pass
    if names:
        np.savez(tmp_path / "in.npz", **dict.fromkeys(names, PIXELS))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message) as error:
        pack(tmp_path / "in.npz", tmp_path / "out.safetensors")
    assert "\n" not in str(error.value) and ".npy" not in str(error.value)
