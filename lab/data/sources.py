"""Image sources: a folder, a StyleGAN zip or arrays, as names with a reader and labels."""

import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from lab.data import arrays
from lab.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_LISTING = "dataset.json"


@dataclass(frozen=True)
class Source:
    """Names of images, a reader and labels.

    read: name -> bytes or array, in any process. labels: by name, None unless every image has one.
    """

    names: list[str]
    read: Callable[[str], Any]
    labels: dict[str, int] | None
    classes: tuple[str, ...]


def open_source(path: Path, scratch: Path) -> Source:
    """A folder, zip or array file as a `Source`. Raises UserError.

    A compressed .npz is unpacked to `scratch`, which the caller removes when done.
    """
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise UserError(f"{path} does not exist; give a folder, .zip, .npy or .npz")
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return _zip(path)
    if suffix in (".npy", ".npz"):
        return _arrays(path, scratch)
    raise UserError(f"{path} is not a folder, .zip, .npy or .npz")


def _folder(path: Path) -> Source:
    inside = (Path(top) / file for top, _, files in os.walk(path) for file in files)
    names = sorted(name for file in inside if _is_image(name := file.relative_to(path).as_posix()))
    listing = path / _LISTING
    listed = _listed(listing.read_bytes(), path) if listing.is_file() else None
    labels, classes = _labels(names, listed, listing.is_file(), path)
    return Source(names, partial(_read_file, path), labels, classes)


def _zip(path: Path) -> Source:
    try:
        with zipfile.ZipFile(path) as file:
            inside = file.namelist()
            listing = file.read(_LISTING) if _LISTING in inside else None
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read as a zip ({error}): copy or download it again") from None
    names = sorted({name for name in inside if _is_image(name)})
    listed = None if listing is None else _listed(listing, path)
    labels, classes = _labels(names, listed, listing is not None, path)
    return Source(names, partial(_read_zip, path), labels, classes)


def _arrays(path: Path, scratch: Path) -> Source:
    pixels, labels = arrays.open_arrays(path, scratch)
    names = [str(index) for index in range(len(pixels))]
    found = None if labels is None else dict(zip(names, labels.tolist(), strict=True))
    classes = tuple(str(k) for k in range(max(found.values()) + 1)) if found else ()
    return Source(names, partial(arrays.read_image, pixels), found, classes)


def _is_image(name: str) -> bool:
    """Whether a name has the suffix of an image and is not a hidden file of macOS."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith("._") and "__MACOSX" not in path.parts


def _listed(text: bytes, path: Path) -> dict[str, int] | None:
    """Labels by name of a dataset.json, None if it holds null. Raises UserError."""
    try:
        listed = json.loads(text)["labels"]
        if listed is None:
            return None
        labels = {str(name): label for name, label in listed}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path}: {_LISTING} is not {{"labels": [[name, label], ...]}} ({error})') from None
    for name, label in labels.items():
        if type(label) is not int or label < 0:
            raise UserError(f"{path}: {_LISTING} labels {name} with {label!r}, not with an integer from 0")
    return labels


def _labels(
    names: Sequence[str], listed: dict[str, int] | None, has_listing: bool, path: Path
) -> tuple[dict[str, int] | None, tuple[str, ...]]:
    """Labels by name, and classes: from dataset.json, else the top folders if every image is in one of several."""
    tops = [name.split("/")[0] if "/" in name else None for name in names]
    folders = tuple(sorted({top for top in tops if top is not None}))
    split = len(folders) > 1 and None not in tops  # a single folder, or images outside folders: no classes
    if not has_listing:
        return (
            ({n: folders.index(top) for n, top in zip(names, tops, strict=True) if top}, folders)
            if split
            else (None, ())
        )
    if listed is None:
        return None, ()
    missing = next((name for name in names if name not in listed), None)
    if missing is not None:
        raise UserError(f"{path}: {_LISTING} has no label for {missing}")
    labels = {name: listed[name] for name in names}
    numbers = range(max(labels.values(), default=-1) + 1)
    # Folders name the classes if each holds exactly one label.
    pairs = {(labels[name], top) for name, top in zip(names, tops, strict=True)}
    if split and len(pairs) == len(folders) == len(numbers) and {label for label, _ in pairs} == set(numbers):
        return labels, tuple(str(top) for _, top in sorted(pairs, key=lambda pair: pair[0]))
    return labels, tuple(str(number) for number in numbers)


def _read_file(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


@cache  # per process: opening a zip of a million members takes seconds
def _opened(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _read_zip(path: Path, name: str) -> bytes:
    return _opened(path).read(name)


def close_sources() -> None:
    """Close the open files of this process, so that a replaced file is read again."""
    _opened.cache_clear()
    arrays.mapped.cache_clear()
