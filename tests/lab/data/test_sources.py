"""What of a source is packed, with which labels, and what is said about the rest."""

import json
import os
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lab.cli.main import main
from lab.data import labels as labelling
from lab.data.images import open_images
from lab.data.pack import Packed, pack
from lab.data.sources import open_source
from lab.errors import UserError
from tests.lab.pictures import encoded, grey, write_folder

NAMED = {"a.png": 3, "b.png": 1}


@pytest.mark.parametrize(
    ("stated", "classes"),
    [
        (["w", "x", "y", "z"], ("x", "z")),
        (["w", "x", "y"], ("1", "3")),
        (["w", "x", "x", "z"], ("1", "3")),
        (["w", "x", "y", 4], ("1", "3")),
        ("wxyz", ("1", "3")),
        (None, ("1", "3")),
    ],
    ids=str,
)
def test_a_listing_may_name_its_classes(stated: object, classes: tuple[str, ...], tmp_path: Path) -> None:
    listing = json.dumps({"labels": list(NAMED.items()), "classes": stated}).encode()
    result, _ = packed(write_folder(tmp_path / "in", {"a.png": grey(1), "b.png": grey(2), "dataset.json": listing}))
    assert result.classes == classes


PETS = {"cat/a.png": grey(1), "cat/b.png": grey(2), "dog/c.png": grey(3)}
LABELS = {1: "cat", 2: "cat", 3: "dog"}


def packed(source: Path, **options: Any) -> tuple[Packed, dict[int, str]]:
    """The result of packing, and the class of each image, which is filled with its number."""
    out = source.parent / "packed.safetensors"
    result = pack(source, out, overwrite=True, **options)
    found = open_images(str(out))
    names = [""] * len(found) if found.labels is None else [found.classes[label] for label in found.labels]
    return result, dict(zip(found.images[:, 0, 0, 0].tolist(), names, strict=True))


def written(folder: Path, files: Mapping[str, bytes], kind: str) -> Path:
    """The files in a folder or a zip."""
    if kind == "folder":
        return write_folder(folder / "in", files)
    with zipfile.ZipFile(folder / "in.zip", "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return folder / "in.zip"


both_kinds = pytest.mark.parametrize("kind", ["folder", "zip"])


@both_kinds
@pytest.mark.parametrize(
    "name",
    [".ipynb_checkpoints/a.png", "@eaDir/a.png", "__MACOSX/cat/a.png", ".hidden.png", "cat/._a.png", ".cat/a.png"],
)
def test_hidden_and_system_files_are_no_class_and_are_named(tmp_path: Path, kind: str, name: str) -> None:
    result, found = packed(written(tmp_path, PETS | {name: grey(9)}, kind))
    assert found == LABELS and result.classes == ("cat", "dog")
    assert [
        line for line in result.left_out if line.startswith("hidden and system files") and name.split("/")[0] in line
    ]


@both_kinds
@pytest.mark.parametrize("outer", ["pets/", "download/pets/"])
def test_a_folder_around_the_class_folders_does_not_hide_them(tmp_path: Path, kind: str, outer: str) -> None:
    result, found = packed(written(tmp_path, {outer + name: content for name, content in PETS.items()}, kind))
    assert found == LABELS and result.labels == f"from the folders cat, dog in {outer}"


@both_kinds
def test_a_loose_image_is_left_out_and_named(tmp_path: Path, kind: str) -> None:
    result, found = packed(written(tmp_path, PETS | {"logo.png": grey(9)}, kind))
    assert found == LABELS and result.left_out == ["images beside the class folders: logo.png"]


@both_kinds
def test_as_many_loose_images_as_others_need_a_decision(tmp_path: Path, kind: str) -> None:
    files = PETS | {f"{number}.png": grey(number) for number in (4, 5, 6)}
    source = written(tmp_path, files, kind)
    with pytest.raises(UserError, match=r"3 images lie beside the folders cat, dog .*--labels folders.*--labels none"):
        packed(source)
    assert packed(source, label_source="folders")[1] == LABELS
    assert packed(source, label_source="none")[1] == dict.fromkeys(range(1, 7), "")


@both_kinds
def test_parts_of_a_set_are_not_taken_for_classes(tmp_path: Path, kind: str) -> None:
    files = {f"pets/{part}/{name}": content for part in ("train", "val") for name, content in PETS.items()}
    source = written(tmp_path, files, kind)
    with pytest.raises(UserError, match=r"train, val in pets/ look like parts of a set"):
        packed(source)
    assert packed(source, label_source="folders")[0].classes == ("train", "val")


@both_kinds
def test_a_class_folder_without_images_is_no_class_and_is_named(tmp_path: Path, kind: str) -> None:
    result, _ = packed(written(tmp_path, PETS | {"bird/notes.txt": b"none yet"}, kind))
    assert result.classes == ("cat", "dog")
    assert "folders without images, which are no classes: bird/" in result.left_out
    assert "files that are not images: bird/notes.txt" in result.left_out


def test_a_class_whose_images_are_all_broken_is_no_class_and_is_named(tmp_path: Path) -> None:
    files = PETS | {"bird/x.png": b"broken"}
    result, found = packed(write_folder(tmp_path / "in", files), skip_broken=True)
    assert found == LABELS and result.classes == ("cat", "dog")
    assert any("no image that can be read: bird" in note for note in result.notes)


def test_a_class_folder_may_be_a_link(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere", {"c.png": grey(3)})
    source = write_folder(tmp_path / "in", {name: PETS[name] for name in ("cat/a.png", "cat/b.png")})
    (source / "dog").symlink_to(tmp_path / "elsewhere")
    assert packed(source)[1] == LABELS


def test_links_that_lead_to_packed_folders_are_not_followed(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", PETS)
    for name, target in {"loop": source, "up": tmp_path, "cat/again": source / "cat", "latest": source / "dog"}.items():
        (source / name).symlink_to(target)
    result, found = packed(source)
    assert found == LABELS
    assert [line for line in result.left_out if line.startswith("links to folders that are packed already: ")]


def test_two_links_to_one_folder_are_one_class(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", PETS)
    write_folder(tmp_path / "elsewhere", {"e.png": grey(5)})
    for name in ("emu", "gnu"):
        (source / name).symlink_to(tmp_path / "elsewhere")
    result, found = packed(source)
    assert found == LABELS | {5: "emu"} and result.left_out == ["links to folders that are packed already: gnu"]


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_one_file_in_two_classes_is_a_contradiction(tmp_path: Path, kind: str) -> None:
    source = write_folder(tmp_path / "in", PETS)
    make = os.symlink if kind == "symbolic" else os.link
    make(source / "cat" / "a.png", source / "cat" / "z.png")
    assert packed(source)[0].count == 4  # twice in one class contradicts nothing
    make(source / "cat" / "a.png", source / "dog" / "z.png")
    with pytest.raises(UserError, match=r"cat/a\.png \(cat\) and dog/z\.png \(dog\) are the same file"):
        packed(source)


def test_devices_pipes_and_broken_links_are_left_out_without_waiting(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", PETS)
    os.mkfifo(source / "cat" / "pipe.png")
    (source / "cat" / "zero.png").symlink_to("/dev/zero")
    (source / "cat" / "gone.png").symlink_to(tmp_path / "nowhere")
    (source / "cat" / "self.png").symlink_to("self.png")
    result, found = packed(source)
    assert found == LABELS
    assert result.left_out == ["devices, pipes and broken links: cat/gone.png, cat/pipe.png, cat/self.png and 1 more"]


@pytest.mark.parametrize("suffix", ["zip", "npy", "npz", "png"])
def test_a_pipe_as_the_source_is_one_clear_error(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"in.{suffix}")
    with pytest.raises(UserError, match="is not a folder"):
        open_source(tmp_path / f"in.{suffix}", tmp_path / "scratch")


def test_a_link_inside_a_zip_is_not_an_image(tmp_path: Path) -> None:
    source = written(tmp_path, PETS, "zip")
    with zipfile.ZipFile(source, "a") as file:
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    assert packed(source)[0].left_out == ["devices, pipes and broken links: cat/link.png"]


@both_kinds
@pytest.mark.parametrize(
    ("name", "format"),
    [
        *[("x", "PNG"), ("x.jfif", "JPEG"), ("x.jpe", "JPEG"), ("x.avif", "AVIF"), ("x.jp2", "JPEG2000")],
        *[("x.pnm", "PPM"), ("x.tga", "TGA"), ("x.dat", "GIF"), ("x.PNG", "WEBP"), ("x.v2", "TIFF"), ("x.jpg", "BMP")],
    ],
)
def test_an_image_is_known_by_its_content(tmp_path: Path, kind: str, name: str, format: str) -> None:
    content = encoded(Image.new("RGB", (8, 8), (9, 9, 9)), format)
    result, _ = packed(written(tmp_path, {name: content, "notes.txt": b"no image"}, kind))
    assert result.count == 1 and result.left_out == ["files that are not images: notes.txt"]


def test_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    result, _ = packed(write_folder(tmp_path / "in", PETS | {"cat/photo.HEIC": b"x", "dog/raw.nef": b"II*\0"}))
    assert result.left_out == [
        "images of a format that is not read; convert them to PNG or JPEG: cat/photo.HEIC, dog/raw.nef"
    ]


def test_the_command_prints_what_is_left_out_and_where_labels_come_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_folder(tmp_path / "in", PETS | {"cat/.DS_Store": b"", "list.csv": b"a,b"})
    assert main(["data", "pack", str(source), str(tmp_path / "out.safetensors")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "left out hidden and system files: cat/.DS_Store" in lines
    assert "left out files that are not images: list.csv" in lines
    assert "labels: from the folders cat, dog" in lines


def test_a_folder_of_hidden_images_says_why_it_holds_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no images .*left out hidden and system files: \.a\.png"):
        packed(write_folder(tmp_path / "in", {".a.png": grey(1)}))


# dataset.json


def listing(*entries: object) -> bytes:
    return json.dumps({"labels": list(entries)}).encode()


@both_kinds
@pytest.mark.parametrize("numbers", [(1, 2), (0, 7), (3, 10**9), (2**62, 2**63 - 1)])
def test_classes_are_the_numbers_that_occur(tmp_path: Path, kind: str, numbers: tuple[int, int]) -> None:
    files = {"a.png": grey(1), "b.png": grey(2), "dataset.json": listing(["a.png", numbers[1]], ["b.png", numbers[0]])}
    result, found = packed(written(tmp_path, files, kind))
    assert result.classes == tuple(map(str, numbers)) and found == {1: str(numbers[1]), 2: str(numbers[0])}


def test_twelve_numbers_are_in_order_of_their_value(tmp_path: Path) -> None:
    files = {f"{number}.png": grey(number) for number in range(12)}
    given = listing(*([f"{number}.png", number] for number in range(12)))
    result, found = packed(write_folder(tmp_path / "in", files | {"dataset.json": given}))
    assert result.classes == tuple(map(str, range(12))) and found == {number: str(number) for number in range(12)}


@both_kinds
def test_folders_that_hold_one_number_each_name_it(tmp_path: Path, kind: str) -> None:
    given = listing(["cat/a.png", 5], ["cat/b.png", 5], ["dog/c.png", 2])
    result, found = packed(written(tmp_path, PETS | {"dataset.json": given}, kind))
    assert found == LABELS and result.classes == ("dog", "cat")


@both_kinds
def test_a_listing_may_lie_in_the_outer_folder(tmp_path: Path, kind: str) -> None:
    files = {"set/a.png": grey(1), "set/b.png": grey(2), "set/dataset.json": listing(["a.png", 1], ["./b.png", 0])}
    assert packed(written(tmp_path, files, kind))[1] == {1: "1", 2: "0"}


@both_kinds
def test_accents_match_however_they_are_stored(tmp_path: Path, kind: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    files = {f"{composed}/a.png": grey(1), f"{decomposed}/b.png": grey(2), "dog/c.png": grey(3)}
    result, found = packed(written(tmp_path, files, kind))
    assert found == {1: composed, 2: composed, 3: "dog"}
    assert any("Unicode forms are one class" in note for note in result.notes)
    given = listing([f"{decomposed}/a.png", 1], [f"{composed}/b.png", 1], ["dog/c.png", 0])
    assert packed(written(tmp_path, files | {"dataset.json": given}, kind))[1] == {1: composed, 2: composed, 3: "dog"}


def test_utf8_names_of_a_zip_that_does_not_say_so_match(tmp_path: Path) -> None:
    source = tmp_path / "in.zip"
    with zipfile.ZipFile(source, "w") as file:
        file.writestr("caf__/a.png", grey(1))
        file.writestr("dog/b.png", grey(2))
    source.write_bytes(source.read_bytes().replace(b"caf__", "caf\u00e9".encode()))
    assert packed(source)[1] == {1: "caf\u00e9", 2: "dog"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([["a.png", 0], ["a.png", 1]], "labels a.png with 0 and with 1"),
        ([["a.png", 0], ["./a.png", 1]], "with 0 and with 1"),
        ([["a.png", True]], "labels a.png with True"),
        ([["a.png", 2**63]], "not with an integer"),
        ([["a.png", 1e3]], "not with an integer"),
        ([["a.png", [0, 1]]], "not with an integer"),
        ([["a.png"]], "is not"),
        ([["a.png", 0, 1]], "is not"),
        ([[3, 0]], "is not"),
        ([None], "is not"),
        ("ab", "is not"),
        (3, "is not"),
    ],
)
def test_a_listing_that_contradicts_itself_is_one_clear_error(tmp_path: Path, entries: Any, message: str) -> None:
    files = {"a.png": grey(1), "dataset.json": json.dumps({"labels": entries}).encode()}
    with pytest.raises(UserError, match=message) as error:
        packed(write_folder(tmp_path / "in", files))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        *[b"[" * 100_000, b'{"labels": ' + b"[" * 500 + b"]" * 500 + b"}", b"\xff\xfe", b"", b"null", b"[]", b"3"],
        *[b'{"labels": [["a.png", ' + b"9" * 5000 + b"]]}", b'{"labels": [["a.png", 1e999]]}', b'{"labels": NaN}'],
    ],
)
@both_kinds
def test_a_listing_that_is_no_listing_is_one_clear_error(tmp_path: Path, kind: str, content: bytes) -> None:
    with pytest.raises(UserError, match=r"dataset\.json") as error:
        packed(written(tmp_path, {"a.png": grey(1), "dataset.json": content}, kind))
    assert "\n" not in str(error.value)


def test_a_listing_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", PETS)
    os.mkfifo(source / "dataset.json")
    result, found = packed(source)
    assert found == LABELS and result.left_out == ["devices, pipes and broken links: dataset.json"]


def test_the_same_label_twice_is_no_contradiction_and_missing_files_are_noted(tmp_path: Path) -> None:
    given = listing(["a.png", 1], ["a.png", 1], ["gone.png", 4])
    result, found = packed(write_folder(tmp_path / "in", {"a.png": grey(1), "dataset.json": given}))
    assert found == {1: "1"}
    assert any("lists 1 images that are not there: gone.png" in note for note in result.notes)


def test_further_listings_are_named(tmp_path: Path) -> None:
    files = PETS | {"cat/dataset.json": listing(["a.png", 0])}
    result, found = packed(write_folder(tmp_path / "in", files))
    assert found == LABELS
    assert result.left_out == ["further dataset.json files; the uppermost counts: cat/dataset.json"]


def test_a_zip_with_two_different_files_of_one_name_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path, PETS, "zip")
    with zipfile.ZipFile(source, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("cat/a.png", grey(1))
    result, found = packed(source)
    assert found == LABELS and result.left_out == ["second copies of a file: cat/a.png"]
    with zipfile.ZipFile(source, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("cat/a.png", grey(7))
    with pytest.raises(UserError, match=r"two different files named cat/a\.png"):
        packed(source)


@pytest.mark.parametrize("numbers", [[1, 2, 2], [5, 10**9, 5], [0, 2**63, 1]])
def test_classes_of_arrays_are_the_numbers_that_occur(tmp_path: Path, numbers: list[int]) -> None:
    images = np.stack([np.full((8, 8), number, np.uint8) for number in range(3)])
    np.savez(tmp_path / "in.npz", images=images, labels=np.array(numbers, np.uint64))
    result, found = packed(tmp_path / "in.npz")
    assert result.classes == tuple(str(number) for number in sorted(set(numbers)))
    assert found == {index: str(number) for index, number in enumerate(numbers)}


@pytest.mark.parametrize(
    ("paths", "outer"),
    [
        (["a.png"], ""),
        (["p/a.png"], "p"),
        (["p/a.png", "p/b.png"], "p"),
        (["p/q/a.png", "p/b.png"], "p"),
        (["p/q/a.png", "p/r/b.png"], "p"),
        (["p/q/a.png", "q/q/b.png"], ""),
        (["p/q/a.png", "b.png"], ""),
        ([], ""),
    ],
)
def test_the_outer_folder_holds_every_path(paths: list[str], outer: str) -> None:
    found = labelling.outer_folder([tuple(path.split("/")) for path in paths])
    assert "/".join(found) == outer
