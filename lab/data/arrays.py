"""Images in a .npy or .npz file, mapped into memory: the arrays may be larger than memory."""

import shutil
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Literal

import numpy as np

from lab.errors import UserError
from lab.files import durable

_EXPECTED = "uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], C = 1 or 3"


@dataclass(frozen=True)
class Pixels:
    """Location of the pixels of an array in a file, cheap to send to another process."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    def __len__(self) -> int:
        return self.shape[0]


def open_arrays(path: Path, scratch: Path) -> tuple[Pixels, np.ndarray | None]:
    """The images of a .npy, or the members "images" and "labels" (int [N], may be missing) of an .npz.

    A compressed member is unpacked to `scratch`; others are mapped in place. Raises UserError.
    """
    try:
        if path.suffix.lower() == ".npy":
            return _pixels(path), None
        with zipfile.ZipFile(path) as file:
            pixels = _member(file, path, scratch)
            labels = None
            if "labels.npy" in file.namelist():
                with file.open("labels.npy") as stream:
                    labels = np.lib.format.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be read as images {_EXPECTED} and labels [N] ({error})") from None
    count = len(pixels)
    if labels is not None and (labels.shape != (count,) or labels.dtype.kind not in "iu" or (labels < 0).any()):
        wrong = f"{labels.dtype} {list(labels.shape)}"
        raise UserError(f"{path}: labels are {wrong}, not integers from 0, one for each of {count} images")
    return pixels, labels


def read_image(pixels: Pixels, name: str) -> np.ndarray:
    """[H, W] or [H, W, C] of the image at index `name`."""
    image = np.asarray(mapped(pixels)[int(name)])
    return image.transpose(1, 2, 0) if _channels_first(pixels.shape) else image


@cache  # per process, until `close_sources`
def mapped(pixels: Pixels) -> np.memmap:
    """The whole array, mapped read-only."""
    return np.memmap(pixels.path, np.uint8, "r", pixels.offset, pixels.shape, pixels.order)


def _member(file: zipfile.ZipFile, path: Path, scratch: Path) -> Pixels:
    """The member "images", at its place in the zip file if it is not compressed."""
    member = file.getinfo("images.npy")
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:  # bit 0: encrypted, which `open` refuses
        with file.open(member) as packed:
            _unpack(packed, scratch)
        return _pixels(scratch, name=path)
    with path.open("rb") as raw:
        raw.seek(member.header_offset)
        local = raw.read(30)
    # The local header has its own lengths of name and extra field (APPNOTE 4.3.7).
    lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    begin = member.header_offset + 30 + lengths
    return _pixels(path, begin, begin + member.file_size)


def _unpack(packed: IO[bytes], scratch: Path) -> None:
    try:
        scratch.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 2**20)
    except OSError as error:
        raise UserError(durable.explain(error, scratch, "try again")) from None


def _pixels(path: Path, begin: int = 0, end: int | None = None, name: Path | None = None) -> Pixels:
    """The array whose .npy header is at `begin` and which ends before `end`; `name`: of the file in errors."""
    with path.open("rb") as file:
        file.seek(begin)
        version = np.lib.format.read_magic(file)
        first = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
        offset = file.tell()
    is_image = dtype == np.uint8 and len(shape) in (3, 4)
    if not is_image or (len(shape) == 4 and not _channels_first(shape) and shape[3] not in (1, 3, 4)):
        raise UserError(f"{name or path}: images are {dtype} {list(shape)}, not {_EXPECTED}")
    if offset + int(np.prod(shape, dtype=np.int64)) > (path.stat().st_size if end is None else end):
        raise ValueError("it is cut short")
    return Pixels(path, offset, shape, "F" if is_fortran else "C")


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3)
