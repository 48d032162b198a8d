"""Reading untrusted files: bounded JSON and its counts, names inside a folder, and regular files alone.

What a manifest, a state, a configuration or a data set names is a plain name inside its folder. A device, a FIFO or a
socket under such a name would block or fill the memory, so it is never read, nor is one in the place of a file of ours
written to.
"""

import json
import math
import os
import re
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

from lab.errors import UserError

JSON_DEPTH = 64
"""Deepest nesting that `parse_json` accepts; a checkpoint's state, the deepest file of ours, has 12 levels."""
_Array = TypeVar("_Array", bound=Any)
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
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "int_max_str_digits" not in str(error):
            raise
        raise ValueError("a number has thousands of digits") from None
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


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Raises OSError for a missing file, and without waiting for a device, FIFO or folder."""
    # O_NONBLOCK: opening a FIFO would wait for its writer. Windows has neither FIFOs in folders nor the flag.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def is_count(value: object) -> bool:
    """Whether a value that was read is a whole number from 0 on that 64 bits hold."""
    return type(value) is int and 0 <= value < 2**63


def same_form(value: Any, own: _Array, name: str) -> _Array:
    """A tensor or an array that was read, if its shape and type are those of `own`. Raises ValueError otherwise."""
    if type(value) is not type(own) or value.shape != own.shape or value.dtype != own.dtype:
        raise ValueError(f"{name} is no {own.dtype} of the shape {list(own.shape)}")
    return value


def check_own_file(path: Path) -> None:
    """Raise UserError unless `path`, a file of ours that will be written, is absent or a regular file and no link."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is not a regular file but {_what(mode)}: move it away")


def read_regular(path: Path, largest: int | None = None) -> bytes:
    """The bytes of a regular file. Raises OSError as `open_regular`, or if there are more than `largest`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if largest is not None and size > largest:
            raise OSError(f"{path} has {size:,} bytes; at most {largest:,} are read")
        return file.read()


def _what(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device or pipe"


def _items(container: dict[str, Any] | list[Any]) -> list[Any]:
    return list(container.values()) if isinstance(container, dict) else container


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text:.30} is beyond the range of a float")
    return value
