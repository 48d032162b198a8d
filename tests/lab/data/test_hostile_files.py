"""Untrusted packed sets, arrays, paths and settings: one clear line, no hang, no allocation."""

import io
import json
import os
import re
import resource
import shutil
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.cli.main import main
from lab.data import images as image_sets
from lab.data.images import open_images, verify_images, write_images
from lab.data.pack import pack
from lab.errors import UserError
from tests.lab.data.test_images import numbered, plain, write_raw
from tests.lab.pictures import grey, write_folder, write_zip

DIGITS = np.arange(4, dtype=np.uint8).repeat(64).reshape(4, 8, 8)


@contextmanager
def little_memory() -> Iterator[None]:
    """Allocations of more than 4 GB beyond what this process has mapped fail."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 2**32, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value) and len(str(error.value)) < 1500
    return str(error.value)


# fingerprints


@pytest.mark.parametrize("piece", [1, 40, 2**24])
def test_the_fingerprint_is_computed_from_pixels_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(image_sets, "_PIECE", piece)
    path, labels = tmp_path / "set.safetensors", np.arange(9) % 3
    write_images(path, numbered(9), shape=(9, 1, 4, 4), labels=labels, classes=("a", "b", "c"))
    verify_images(open_images(str(path)))
    whole = path.read_bytes()
    for place in (-1, -9 * 16, -9 * 16 - 72):  # the last and the first pixel, the first label
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(UserError, match=re.escape(f"{path} has changed since it was packed")):
            verify_images(open_images(str(path)))


def test_inspect_verifies_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "set.safetensors"
    write_images(path, numbered(2), shape=(2, 1, 4, 4))
    assert main(["data", "inspect", str(path), "--verify"]) == 0
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert main(["data", "inspect", str(path)]) == 0
    capsys.readouterr()
    assert main(["data", "inspect", str(path), "--verify"]) == 2
    assert "has changed since it was packed" in capsys.readouterr().err


def test_a_sheet_is_a_png_and_replaces_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "device").write_bytes(b"as /dev/null")
    assert main(["data", "inspect", "digits", "--sheet", str(tmp_path / "device")]) == 2
    assert "ends in .png" in capsys.readouterr().err and (tmp_path / "device").read_bytes() == b"as /dev/null"


def test_a_set_in_memory_has_nothing_to_compare() -> None:
    verify_images(open_images("digits"))


# headers of packed sets

SOUND = plain((2, 1, 4, 4))
LABELLED = {
    "labels": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]},
    "images": {"dtype": "U8", "shape": [2, 1, 4, 4], "data_offsets": [16, 48]},
    "__metadata__": SOUND["__metadata__"] | {"classes": '["a", "b"]'},  # type: ignore[operator]
}


def images(**changes: Any) -> dict[str, Any]:
    return SOUND | {"images": SOUND["images"] | changes}  # type: ignore[operator]


def metadata(**changes: Any) -> dict[str, Any]:
    return SOUND | {"__metadata__": SOUND["__metadata__"] | changes}  # type: ignore[operator]


@pytest.mark.parametrize(
    "header",
    [
        {},
        [],
        "header",
        {"__metadata__": [], "images": {}},
        images(shape=[2**40, 2**40, 4, 4]),
        images(shape=[2**64, 1, 4, 4], data_offsets=[0, 2**68]),
        images(shape=[-2, -1, 4, 4]),
        images(shape=[2.0, 1, 4, 4]),
        images(shape=[True, 2, 4, 4]),
        images(shape=[2, [1], 4, 4]),
        images(shape="2144"),
        images(shape=None),
        images(data_offsets=[-32, 0]),
        images(data_offsets=[32, 0]),
        images(data_offsets=[0.0, 32.0]),
        images(data_offsets=[0]),
        images(data_offsets=[0, 10**400]),
        images(dtype="I64"),
        images(dtype=["U8"]),
        metadata(classes="[" * 50_000),
        metadata(classes="{}{"),
        metadata(classes="[1, 2]"),
        metadata(classes='["a", "a"]'),
        metadata(classes="null"),
        metadata(classes=[]),
        metadata(fingerprint=7),
        metadata(rule=["crop"]),
        metadata(schema_version=1),
        SOUND | {"labels": []},
        SOUND | {"labels": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]}},
        LABELLED | {"labels": {"dtype": "I64", "shape": [2], "data_offsets": [8, 24]}},
        LABELLED | {"labels": {"dtype": "I64", "shape": [2], "data_offsets": [0, 8]}},
        LABELLED | {"labels": {"dtype": "I64", "shape": [10**9], "data_offsets": [0, 8 * 10**9]}},
        LABELLED | {"labels": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}},
    ],
)
def test_a_header_that_is_wrong_is_one_clear_error(tmp_path: Path, header: Any) -> None:
    write_raw(tmp_path / "x.safetensors", header, bytes(48))
    with pytest.raises(UserError, match=r"damaged|labels from") as error, little_memory():
        open_images(str(tmp_path / "x.safetensors"))
    one_line(error)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 50_000) + b"[" * 50_000,
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 40) + b'{"__metadata__": \xff\xfe}' + b" " * 40,
        struct.pack("<Q", 90_000_000) + b"{",
    ],
)
def test_a_file_without_a_header_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="damaged") as error:
        open_images(str(tmp_path / "x.safetensors"))
    one_line(error)


def test_single_flipped_bits_of_a_header_never_end_in_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    write_images(path, numbered(3), shape=(3, 1, 4, 4), labels=np.array([0, 1, 1]), classes=("a", "b"), rule="crop")
    whole, refused = path.read_bytes(), 0
    size = 8 + int.from_bytes(whole[:8], "little")
    for number in np.random.default_rng(0).choice(8 * size, 400, replace=False).tolist():
        changed = bytearray(whole)
        changed[number // 8] ^= 1 << number % 8
        path.write_bytes(changed)
        try:
            verify_images(open_images(str(path)))
        except UserError:
            refused += 1
    assert refused > 200  # the others change the text of a rule, a class or the name of an optional key


# arrays


def npy(header: str, version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + version + length + text


def described(shape: str, kind: str = "|u1") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


BAD_ARRAYS = {
    "nested": npy("(" * 3000 + ")" * 3000),
    "list nested": npy("[" * 9000),
    "code": npy("__import__('os').system('true')"),
    "long": npy(described("(1, 8, 8)") + " " * 60_000),
    "negative": npy(described("(-1, 8, 8)")) + bytes(64),
    "both negative": npy(described("(-1, -8, 8)")) + bytes(64),
    "boolean": npy(described("(True, 8, 8)")) + bytes(64),
    "huge": npy(described(f"({2**62}, 8, 8)")) + bytes(64),
    "overflow": npy(described(f"({2**32}, {2**32}, 8)")) + bytes(64),
    "beyond": npy(described(f"({10**40}, 8, 8)")) + bytes(64),
    "version": npy(described("(1, 8, 8)"), b"\x09\x00") + bytes(64),
    "no type": npy(described("(1, 8, 8)", "nonsense")),
    "objects": npy(described("(1, 8, 8)", "|O")) + bytes(64),
    "no header": b"\x93NUMPY",
    "empty": b"",
    "text": b"no array at all",
}


@pytest.mark.parametrize("fault", BAD_ARRAYS)
def test_an_array_that_is_wrong_is_one_clear_error(tmp_path: Path, fault: str) -> None:
    (tmp_path / "in.npy").write_bytes(BAD_ARRAYS[fault])
    with zipfile.ZipFile(tmp_path / "in.npz", "w") as file:
        file.writestr("images.npy", BAD_ARRAYS[fault])
    for source in ("in.npy", "in.npz"):
        with pytest.raises(UserError, match=re.escape(source)) as error, little_memory():
            pack(tmp_path / source, tmp_path / "out.safetensors")
        one_line(error)


@pytest.mark.parametrize("shape", [f"({2**60},)", f"({10**30},)", "(-4,)", "(4, 1)", "()", "(5,)"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_labels_that_declare_more_than_there_is_are_one_clear_error(
    tmp_path: Path, shape: str, compression: int
) -> None:
    stored = io.BytesIO()
    np.save(stored, DIGITS)
    with zipfile.ZipFile(tmp_path / "in.npz", "w", compression) as file:
        file.writestr("images.npy", stored.getvalue())
        file.writestr("labels.npy", npy(described(shape, "<i8")) + bytes(32))
    with pytest.raises(UserError, match="labels") as error, little_memory():
        pack(tmp_path / "in.npz", tmp_path / "out.safetensors")
    one_line(error)


def test_a_compressed_array_larger_than_the_disk_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "in.npz", images=np.zeros((100, 64, 64), np.uint8))
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="need 0 MiB unpacked"):
        pack(tmp_path / "in.npz", tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


# paths and options of the verbs

LONG, DEEP = "x" * 5000, "/".join(["x" * 200] * 30)


@pytest.mark.parametrize("name", [LONG, DEEP, "x" * 250, "~nobody-of-this-name/x", "/dev/zero"])
def test_names_that_no_file_can_have_are_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_folder(tmp_path / "in", {"a.png": grey(1)})
    for arguments in (["inspect", name], ["pack", name, "o.safetensors"], ["pack", str(source), name]):
        assert main(["data", *arguments]) == 2, arguments
        shown = capsys.readouterr().err
        assert shown.startswith("lab: ") and shown.count("\n") == 1 and "Traceback" not in shown, shown


@pytest.mark.parametrize("name", [LONG, "x" * 250])
def test_a_long_name_of_a_packed_set_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    source = write_folder(tmp_path / "in", {"a.png": grey(1)})
    for out in (tmp_path / f"{name}.safetensors", tmp_path / name / "out.safetensors"):
        code = main(["data", "pack", str(source), str(out)])
        shown = capsys.readouterr().err
        assert code == 0 or (code == 2 and shown.count("\n") == 1 and "Traceback" not in shown), shown


@pytest.mark.parametrize(
    "options", [["--workers", "100000"], ["--workers", "0"], ["--resolution", "-8"], ["--resolution", str(10**30)]]
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, options: list[str]) -> None:
    source = write_folder(tmp_path / "in", {"a.png": grey(1)})
    assert main(["data", "pack", str(source), str(tmp_path / "out.safetensors"), *options]) == 2
    assert not (tmp_path / "out.safetensors").exists()


def test_a_pipe_or_a_device_is_no_packed_set(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.safetensors")
    for source in (str(tmp_path / "x.safetensors"), "/dev/zero", "/dev/stdin"):
        with pytest.raises(UserError, match="no data set"):
            open_images(source)


def test_without_a_home_the_error_names_lab_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("LAB_DATA", raising=False)
    with pytest.raises(UserError, match="LAB_DATA"):
        open_images("mnist")
    assert len(open_images("digits")) == 1797


def test_a_cache_that_cannot_be_written_names_lab_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "file"))
    assert main(["data", "fetch", "mnist"]) == 2
    shown = capsys.readouterr().err
    assert "LAB_DATA" in shown and shown.count("\n") == 1


# zips


def test_an_encrypted_or_unknown_member_is_named(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "in.zip", {"a.png": grey(1), "b.png": grey(2)})
    content = bytearray(source.read_bytes())
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 4)
    content[second + 8] |= 1  # the flag of encryption
    source.write_bytes(content)
    with pytest.raises(UserError, match=r"1 of 2 images cannot be read.*: b\.png: .*(password|encrypted)"):
        pack(source, tmp_path / "out.safetensors")


def test_a_member_that_declares_more_than_is_read_is_named(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "in.zip", {"a.png": grey(1)})
    content = bytearray(source.read_bytes())
    central = content.index(b"PK\1\2")
    content[central + 24 : central + 28] = struct.pack("<I", 2**31)
    source.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: it has 2,147,483,648 bytes"):
        pack(source, tmp_path / "out.safetensors")


@pytest.mark.parametrize("name", ["", "/", "./.", "//"])
def test_a_member_without_a_name_is_left_out(tmp_path: Path, name: str) -> None:
    source = write_zip(tmp_path / "in.zip", {"n" * len(name) or "x": grey(2), "a.png": grey(1)}, {"a.png": 0})
    content = source.read_bytes()
    if name:
        content = content.replace(b"n" * len(name), name.encode())
    else:  # the length of the name in the central directory; one letter becomes a comment
        central = content.index(b"PK\1\2")
        content = content[: central + 28] + b"\0\0\0\0\1\0" + content[central + 34 :]
    source.write_bytes(content)
    assert pack(source, tmp_path / "out.safetensors").count == 1


def test_a_listing_of_a_damaged_zip_is_one_clear_error(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "in.zip", {"a.png": grey(1)}, {"a.png": 0})
    content = bytearray(source.read_bytes())
    content[content.index(json.dumps({"labels": [["a.png", 0]]}).encode()) + 3] ^= 1
    source.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a zip") as error:
        pack(source, tmp_path / "out.safetensors")
    one_line(error)
