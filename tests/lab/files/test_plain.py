"""Bounded JSON, names inside a folder, regular files alone."""

import os
from pathlib import Path

import pytest

from lab.files.plain import inside, open_regular, parse_json, read_regular


def test_parse_json_reads_what_json_writes() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, true, "x"], "b": {}}') == {"a": [1, 2.5, None, True, "x"], "b": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "1" * 5000,
        "[" * 100_000,
        "[" * 65 + "]" * 65,
        b"\xff",
        "1 2",
    ],
    ids=lambda text: repr(text)[:12],
)
def test_parse_json_refuses_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_json(text)


def test_parse_json_accepts_the_deepest_allowed_nesting() -> None:
    assert parse_json("[" * 64 + "]" * 64)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b", "a\nb", "a\0", ".hidden", "C:x", "a" * 300, 7, None, ["a"]],
    ids=repr,
)
def test_a_name_inside_is_plain(tmp_path: Path, name: object) -> None:
    with pytest.raises(ValueError, match="is not the name of a file"):
        inside(tmp_path, name)


def test_a_name_inside_is_joined_to_its_folder(tmp_path: Path) -> None:
    assert inside(tmp_path, "segment-1.safetensors") == tmp_path / "segment-1.safetensors"


@pytest.mark.timeout(10)
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match=r"not a regular file|directory"):
            open_regular(path)
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link") == b"12345"
    with pytest.raises(OSError, match="at most 4"):
        read_regular(tmp_path / "file", largest=4)
