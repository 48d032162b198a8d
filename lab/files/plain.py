"""Reading files that nobody vouches for: bounded JSON, names inside a folder, and regular files alone.

What a manifest, a state, a configuration or a data set names is a plain name inside its folder. A device, a FIFO or a
socket under such a name would block or fill the memory, so it is never read.
"""

import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

JSON_DEPTH = 64
"""Deepest nesting that `parse_json` accepts; a checkpoint's state, the deepest file of ours, has 12 levels."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def parse_json(text: str | bytes, *, depth: int = JSON_DEPTH) -> Any:
    """The value of a JSON text, with finite numbers and at most `depth` levels.

    Raises ValueError, one line, for anything else: text that is no JSON or not UTF-8, NaN, numbers beyond the range of
    a float, deeper nesting.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"nested more than {depth} levels deep") from None
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        containers = [item for outer in containers for item in _items(outer) if isinstance(item, dict | list)]
    if containers:
        raise ValueError(f"nested more than {depth} levels deep")
    return value


def inside(folder: Path, name: object, pattern: re.Pattern[str] = _PLAIN_NAME) -> Path:
    """The path of `name` in `folder`. Raises ValueError unless it is a plain file name that matches `pattern`."""
    if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name) or not pattern.fullmatch(name):
        raise ValueError(f"{name!r:.100} is not the name of a file in {folder}")
    return folder / name


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises OSError for a missing file, and without waiting for a device, FIFO or folder."""
    # O_NONBLOCK: opening a FIFO would wait for its writer. Windows has neither FIFOs in folders nor the flag.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, largest: int | None = None) -> bytes:
    """The bytes of a regular file. Raises OSError as `open_regular`, or if there are more than `largest`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if largest is not None and size > largest:
            raise OSError(f"{path} has {size:,} bytes; at most {largest:,} are read")
        return file.read()


def _items(container: dict[str, Any] | list[Any]) -> list[Any]:
    return list(container.values()) if isinstance(container, dict) else container


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text:.30} is beyond the range of a float")
    return value
