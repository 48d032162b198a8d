"""Small pictures as files."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def encoded(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file of a PIL image or of an array."""
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, kind, **options)
    return stream.getvalue()


def grey(value: int, side: int = 8) -> bytes:
    return encoded(np.full((side, side), value, np.uint8))


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes], labels: Mapping[str, int] | None = None) -> Path:
    """As StyleGAN's tool writes it: stored, with a dataset.json."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
        listed = None if labels is None else [[name, label] for name, label in labels.items()]
        file.writestr("dataset.json", json.dumps({"labels": listed}))
    return path


def raw_png(side: int, depth: int, kind: int, row: bytes, **chunks: bytes) -> bytes:
    """A square PNG of equal rows, as the specification writes it: depth in bits, kind 0 grey or 2 RGB; more chunks."""

    def chunk(name: str, data: bytes) -> bytes:
        body = name.encode() + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk("IHDR", struct.pack(">IIBBBBB", side, side, depth, kind, 0, 0, 0))
    more = b"".join(chunk(name, data) for name, data in chunks.items())
    rows = zlib.compress((b"\0" + row) * min(side, 64))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk("IDAT", rows) + chunk("IEND", b"")
