"""The header of safetensors files, for writing and mapping them in pieces."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.files.plain import open_regular, parse_json

_LARGEST = 100_000_000  # bytes, the limit of the format


def header_bytes(layout: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """Length and JSON header, padded so that the tensors after it are aligned.

    layout: for each tensor "dtype", "shape" and "data_offsets", counted from the end of the header.
    """
    text = json.dumps({"__metadata__": dict(metadata), **layout} if metadata else dict(layout)).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def read_header(path: Path) -> tuple[int, dict[str, Any]]:
    """The offset of the tensors and the header of a file. Raises ValueError without a header, OSError as usual."""
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        # Compared with the file first: a damaged length would allocate up to 100 MB.
        if not 2 <= length <= min(_LARGEST, os.fstat(file.fileno()).st_size - 8):
            raise ValueError(f"{path} has no safetensors header")
        header = parse_json(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"{path} has no safetensors header")
    return 8 + length, header
