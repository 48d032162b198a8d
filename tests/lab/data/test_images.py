"""Packed files: what is refused when one is opened, what `lab data inspect` shows of it, and how it is read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lab.cli.main import main
from lab.data.batches import Batches
from lab.data.images import ImageSet, open_images, write_images
from lab.data.order import indices
from lab.data.sheet import contact_sheet, save_sheet
from lab.errors import UserError

CPU = torch.device("cpu")


def write_raw(path: Path, header: dict[str, object], body: bytes = b"") -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def plain(shape: tuple[int, ...], **metadata: str) -> dict[str, object]:
    """The header of a set without labels."""
    stored = {"format": "lab-images", "schema_version": "1", "classes": "[]", "fingerprint": "f"} | metadata
    layout = {"dtype": "U8", "shape": shape, "data_offsets": [0, int(np.prod(shape))]}
    return {"__metadata__": stored, "images": layout}


def numbered(count: int, side: int = 4) -> np.ndarray:
    """uint8 [count, 1, side, side]: every picture is filled with its number."""
    return np.arange(count, dtype=np.uint8).repeat(side * side).reshape(count, 1, side, side)


def test_a_file_packed_before_rules_were_stored_is_read(tmp_path: Path) -> None:
    write_raw(tmp_path / "old.safetensors", plain((2, 1, 4, 4)), bytes(range(32)))
    found = open_images(str(tmp_path / "old.safetensors"))
    assert found.rule == "" and found.images.reshape(-1).tolist() == list(range(32))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 1, 12, 12), "12 x 12; a side is a power of two from 4 to 1024"),
        ((2, 1, 2, 2), "2 x 2; a side"),
        ((1, 1, 2048, 2048), "2048 x 2048; a side"),
        ((2, 1, 8, 4), "8 x 4; a side"),
        ((2, 2, 4, 4), "2 channels, not 1 or 3"),
        ((0, 1, 4, 4), "holds no images"),
    ],
)
def test_pictures_that_cannot_be_trained_on_are_one_clear_error(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    write_raw(tmp_path / "x.safetensors", plain(shape), bytes(int(np.prod(shape))))
    with pytest.raises(UserError, match=message) as error:
        open_images(str(tmp_path / "x.safetensors"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_labels_without_a_class_are_one_clear_error(tmp_path: Path, labels: list[int]) -> None:
    path = tmp_path / "x.safetensors"
    write_images(path, numbered(2), shape=(2, 1, 4, 4), labels=np.array(labels), classes=("a", "b"))
    with pytest.raises(UserError, match=f"labels from {min(labels)} to {max(labels)} and 2 classes"):
        open_images(str(path))


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_file_cut_short_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.safetensors"
    write_images(path, numbered(20), shape=(20, 1, 4, 4))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"lab data pack") as error:
        open_images(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mnist_test", "`lab data fetch mnist` downloads it"),
        ("mnits", "did you mean 'mnist'"),
        ("folder", "`lab data pack folder FILE.safetensors`"),
        ("set.npz", "`lab data pack set.npz FILE.safetensors`"),
    ],
)
def test_a_source_that_is_not_packed_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=message):
        open_images(source)


def test_inspect_prints_the_same_as_text_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, sheet = tmp_path / "x.safetensors", tmp_path / "sheet.png"
    labels = np.array([0, 1, 1])
    write_images(path, numbered(3), shape=(3, 1, 4, 4), labels=labels, classes=("cat", "dog", "emu"), rule="as drawn")
    command = ["data", "inspect", str(path), "--sheet", str(sheet)]
    assert main([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == {
        "images": 3,
        "resolution": 4,
        "channels": 1,
        "labels": {"cat": 1, "dog": 2, "emu": 0},
        "rule": "as drawn",
        "fingerprint": open_images(str(path)).fingerprint,
        "sheet": str(sheet),
    }
    assert main(command) == 0
    text = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in text] == list(record)
    assert "labels      cat 1, dog 2, emu 0" in text and "rule        as drawn" in text
    assert Image.open(sheet).size == (2 * 6 - 2, 2 * 6 - 2)


def cells(sheet: np.ndarray, side: int) -> list[list[int]]:
    """The value at the middle of every place of a sheet, 128 where there is no picture."""
    middle = sheet[side // 2 :: side + 2, side // 2 :: side + 2, 0]
    return middle.tolist()


def test_a_sheet_has_classes_in_rows_spread_over_each() -> None:
    images = numbered(30)
    labels = np.array([0] * 15 + [1] * 15)
    sheet = contact_sheet(ImageSet("x", images, labels, ("a", "b"), ""))
    assert cells(sheet, 4) == [[0, 2, 4, 6, 8, 10, 12, 14], [15, 17, 19, 21, 23, 25, 27, 29]]


def test_a_sheet_without_labels_is_spread_over_the_set() -> None:
    values = np.array(cells(contact_sheet(ImageSet("x", numbered(127), None, (), "")), 4))
    assert values.shape == (8, 8) and values.reshape(-1).tolist() == list(range(0, 127, 2))


@pytest.mark.parametrize(("count", "expected"), [(1, [[0]]), (3, [[0, 1, 2]]), (9, [[*range(8)], [8, *[128] * 7]])])
def test_a_sheet_of_few_pictures_has_room_for_no_more(count: int, expected: list[list[int]]) -> None:
    assert cells(contact_sheet(ImageSet("x", numbered(count), None, (), "")), 4) == expected


def test_a_sheet_of_large_pictures_is_reduced() -> None:
    sheet = contact_sheet(ImageSet("x", np.full((2, 3, 512, 512), 7, np.uint8), None, (), ""))
    assert sheet.shape == (128, 2 * 130 - 2, 3) and (sheet[:, :128] == 7).all()


def test_a_sheet_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*sheet\.png"):
        save_sheet(tmp_path / "none" / "sheet.png", ImageSet("x", numbered(2), None, (), ""))


def test_the_order_is_a_permutation_each_epoch_and_a_function_of_the_counter() -> None:
    whole = indices(7, 3, 0, 21)
    assert all(sorted(whole[k : k + 7].tolist()) == list(range(7)) for k in (0, 7, 14))
    assert np.array_equal(indices(7, 3, 5, 9), whole[5:14])


def test_batches_are_a_function_of_their_start() -> None:
    batches = Batches(ImageSet("x", numbered(10), np.arange(10), tuple("0123456789"), ""), CPU, seed=1)
    first, _ = batches.at(0, 4)
    batches.at(4, 4)
    again, labels = batches.at(0, 4)
    batches.close()
    batches.close()
    assert torch.equal(first, again) and labels is not None and torch.equal(labels, again[:, 0, 0, 0].long())


def test_a_set_larger_than_memory_is_mapped_and_only_the_rows_of_a_batch_are_copied(tmp_path: Path) -> None:
    shape, path = (400_000, 3, 1024, 1024), tmp_path / "huge.safetensors"  # 1.2 TB, a hole in the file
    write_raw(path, plain(shape))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + int(np.prod(shape, dtype=np.int64)))
    huge = open_images(str(path))
    assert isinstance(huge.images, np.memmap) and huge.images.shape == shape
    batches = Batches(huge, CPU, seed=0)
    images, _ = batches.at(0, 2)
    batches.close()
    assert images.untyped_storage().nbytes() == 2 * 3 * 1024 * 1024
    assert not np.shares_memory(images.numpy(), huge.images)
