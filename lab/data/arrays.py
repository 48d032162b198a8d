"""Images in a .npy or .npz file, mapped into memory: the arrays may be larger than memory."""

import math
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from lab.errors import UserError
from lab.files import durable
from lab.terminal.text import one_line

_DAMAGES = (OSError, ValueError, KeyError, EOFError, OverflowError, zipfile.BadZipFile, zlib.error)
_EXPECTED = "uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], C = 1 or 3"
_SHOWN = 10  # arrays in a message


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
                    labels = _labels(stream, path, len(pixels))
    except UserError:
        raise
    except (*_DAMAGES, RuntimeError) as error:  # RuntimeError: an encrypted member; deep nesting in a header
        reason = (str(error) or type(error).__name__).splitlines()[0]  # numpy's errors have several lines
        raise UserError(f"{path}: cannot be read as images {_EXPECTED} and labels [N] ({reason:.200})") from None
    return pixels, labels


def _labels(stream: IO[bytes], path: Path, count: int) -> np.ndarray:
    """The labels of `count` images. Their header is read first: it can declare more than fits into memory."""
    shape, _, dtype = _header(stream)
    fault = UserError(f"{path}: labels are {dtype} {list(shape)}, not integers from 0, one for each of {count} images")
    if shape != (count,) or dtype.kind not in "iu":
        raise fault
    size = count * dtype.itemsize
    content = stream.read(size)
    if len(content) < size:
        raise ValueError("the labels are cut short")
    labels = np.frombuffer(content, dtype)
    if (labels < 0).any():
        raise fault
    return labels


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
    _check_has_images(file.namelist(), path)
    member = file.getinfo("images.npy")
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:  # bit 0: encrypted, which `open` refuses
        _check_room(member.file_size, scratch)
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


def _check_has_images(members: list[str], path: Path) -> None:
    """Raise UserError for an .npz without images, which says what it holds."""
    if "images.npy" in members:
        return
    names = [name.removesuffix(".npy") for name in members]
    held = ", ".join(one_line(name, 60) for name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    if "train_images" in names:
        raise UserError(
            f"{path}: holds several sets, as MedMNIST's files do ({held}); write each to its own file: "
            "numpy.savez('train.npz', images=file['train_images'], labels=file['train_labels'].ravel())"
        )
    raise UserError(
        f"{path}: has no array named images, {f'only {held}' if held else 'for it is empty'}; write it by "
        "numpy.savez(FILE, images=..., labels=...)"
    )


def _check_room(needed: int, scratch: Path) -> None:
    """Raise UserError where an unpacked member would fill the disk: a small file can hold a huge one."""
    existing = next(folder for folder in scratch.absolute().parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise UserError(
            f"its images need {needed / 2**20:,.0f} MiB unpacked and {free / 2**20:,.0f} MiB are free in {existing}: "
            "make room"
        )


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
        shape, is_fortran, dtype = _header(file)
        offset = file.tell()
    is_image = dtype == np.uint8 and len(shape) in (3, 4)
    if not is_image or (len(shape) == 4 and not _channels_first(shape) and shape[3] not in (1, 3, 4)):
        raise UserError(f"{name or path}: images are {dtype} {list(shape)}, not {_EXPECTED}")
    if offset + math.prod(shape) > (path.stat().st_size if end is None else end):
        raise ValueError("it is cut short")
    return Pixels(path, offset, shape, "F" if is_fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the order is Fortran's, and type of an array. Raises ValueError for anything but sizes from 0."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its format has version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, is_fortran, dtype = read(file)
    except (OSError, ValueError):
        raise
    except Exception:  # the parser of Python literals raises many types of errors, also for deep nesting
        raise ValueError("its header is no array header") from None
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("its header has sizes below 0")
    return shape, is_fortran, dtype


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3)
