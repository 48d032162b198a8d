"""Headers of untrusted safetensors files."""

import os
from pathlib import Path

import pytest

from lab.files.safetensors_header import header_bytes, read_header


def test_a_header_is_read_as_it_was_written(tmp_path: Path) -> None:
    layout = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    (tmp_path / "a").write_bytes(header_bytes(layout, {"made": "here"}) + b"\0" * 8)
    start, header = read_header(tmp_path / "a")
    assert header == {"__metadata__": {"made": "here"}, **layout} and start == (tmp_path / "a").stat().st_size - 8


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"\xff" * 8,
        (99_000_000).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        (len(b'{"a": 1e999}')).to_bytes(8, "little") + b'{"a": 1e999}',
        (10_005).to_bytes(8, "little") + b'{"a":' + b"9" * 10_000,
    ],
    ids=range(9),
)
def test_a_damaged_header_is_a_value_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read_header(tmp_path / "a")


def test_a_pipe_has_no_header(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="not a regular file"):
        read_header(tmp_path / "a")
