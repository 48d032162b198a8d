"""Folders and archives as data: packed at the first use, again only when their files change."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.data.images import ImageSet
from lab.data.packed_once import open_or_pack
from lab.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packed"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures in two folders, one of them grey, and a file that is none."""
    for index in range(6):
        path = tmp_path / "photos" / ("a" if index < 4 else "b") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L" if index == 5 else "RGB", (40 + index, 33), 40 * index).save(path)
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    return tmp_path / "photos"


def opened(source: Path | str, labelled: bool = False) -> ImageSet:
    return open_or_pack(str(source), resolution=16, channels=3, labelled=labelled)


def test_a_folder_is_packed_once(folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = opened(folder)
    assert found.images.shape == (6, 3, 16, 16) and found.labels is None
    captured = capsys.readouterr()
    assert "packed 6 images" in captured.err and "notes.txt" in captured.err and captured.out == ""
    assert opened(folder).fingerprint == found.fingerprint and capsys.readouterr().err == ""
    assert len(list(cache.iterdir())) == 1


def test_labels_and_sizes_are_packed_apart(folder: Path, cache: Path) -> None:
    opened(folder)
    found = opened(folder, labelled=True)
    assert found.classes == ("a", "b") and found.labels is not None and found.labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert open_or_pack(str(folder), resolution=8, channels=1, labelled=False).images.shape == (6, 1, 8, 8)
    assert len(list(cache.iterdir())) == 3


def test_a_changed_folder_is_packed_again(folder: Path) -> None:
    before = opened(folder)
    os.utime(folder / "a" / "0.png", ns=(1, 1))  # the same content
    assert opened(folder).fingerprint == before.fingerprint
    Image.new("RGB", (40, 40), (1, 2, 3)).save(folder / "b" / "new.png")
    assert len(opened(folder)) == 7 and opened(folder).fingerprint != before.fingerprint


def test_a_picture_that_cannot_be_read_is_skipped_and_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a" / "torn.png").write_bytes((folder / "a" / "0.png").read_bytes()[:50])
    assert len(opened(folder)) == 6
    assert "skipped a/torn.png" in capsys.readouterr().err


def test_a_zip_and_arrays_are_packed_too(folder: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", folder)
    assert (opened(archive).images == opened(folder).images).all()
    np.save(tmp_path / "x.npy", np.zeros((4, 20, 20, 3), np.uint8))
    assert opened(tmp_path / "x.npy").images.shape == (4, 3, 16, 16)


def test_a_link_back_to_the_folder_ends(folder: Path) -> None:
    (folder / "a" / "again").symlink_to(folder)
    assert len(opened(folder)) == 6


@pytest.mark.parametrize("name", ["nowhere", "pictures", "x" * 5000, "a\x00b", "digitz"])
def test_a_name_of_nothing_says_what_to_set(name: str) -> None:
    with pytest.raises(UserError, match=r"give one \(a run's by data\.source=FOLDER\)"):
        opened(name)


def test_an_empty_folder_and_a_cache_that_cannot_be_written_are_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        opened(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set LAB_DATA to a folder"):
        opened(folder)


def test_a_link_to_the_whole_disk_is_not_searched(folder: Path) -> None:
    before = opened(folder)
    (folder / "everything").symlink_to("/")
    assert opened(folder).fingerprint == before.fingerprint


@pytest.mark.parametrize("source", ["~nobody-of-this-name/photos", "x" * 5000, "/dev/zero"])
def test_a_name_that_no_data_can_have_is_one_clear_error(source: str) -> None:
    with pytest.raises(UserError, match=r"no (folder, file or )?data set") as error:
        opened(source)
    assert "\n" not in str(error.value) and len(str(error.value)) < 800
