"""Image sources: a folder, a zip or arrays, as names with a reader and labels."""

import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from lab.data import arrays, labels
from lab.data.file_tree import FileTree, Parts, walk_folder, walk_zip
from lab.data.image_files import MOST_BYTES
from lab.data.image_formats import HEAD, SUFFIXES, UNREAD_SUFFIXES, is_image
from lab.data.labels import LISTING, Labelled, LabelSource
from lab.data.left_out import NO_IMAGE, OTHER_LISTING, UNREAD_FORMAT, LeftOut
from lab.errors import UserError
from lab.files.plain import open_regular, read_regular

_LARGEST_LISTING = 2**30  # bytes
_ZIP_ERRORS = (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError, zlib.error)


@dataclass(frozen=True)
class Source:
    """Names of images, a reader and labels.

    read: name -> bytes or array, in any process. labels: by name, None unless every image has one. origin: where the
    labels come from, in words. left_out, notes: lines for the user.
    """

    names: list[str]
    read: Callable[[str], Any]
    labels: dict[str, int] | None
    classes: tuple[str, ...]
    origin: str = "none"
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def open_source(path: Path, scratch: Path, label_source: LabelSource = "auto") -> Source:
    """A folder, zip or array file as a `Source`. Raises UserError.

    A compressed .npz is unpacked to `scratch`, which the caller removes when done. label_source: dataset.json or else
    folders ("auto"), the folders alone, or none.
    """
    # Not by Path: it raises for names that are too long.
    if not os.path.exists(path):
        raise UserError(f"{path!s:.300} does not exist; give a folder, .zip, .npy or .npz")
    if os.path.isdir(path):
        return _folder(path, label_source)
    suffix = path.suffix.lower()
    if suffix not in (".zip", ".npy", ".npz") or not os.path.isfile(path):
        raise UserError(f"{path} is not a folder, .zip, .npy or .npz")
    return _zip(path, label_source) if suffix == ".zip" else _arrays(path, scratch, label_source)


def _folder(path: Path, label_source: LabelSource) -> Source:
    left_out = LeftOut()
    tree = walk_folder(path, left_out)

    def head(name: str) -> bytes:
        try:
            with open_regular(path / name) as file:
                return file.read(HEAD)
        except OSError:
            return b""

    def listing(name: str) -> bytes:
        return read_regular(path / name, _LARGEST_LISTING)

    found = _labelled(path, tree, head, listing, left_out, label_source)
    return _source(found, partial(_read_file, path), left_out)


def _zip(path: Path, label_source: LabelSource) -> Source:
    left_out = LeftOut()
    try:
        with zipfile.ZipFile(path) as file:
            tree = walk_zip(file, left_out)

            def head(name: str) -> bytes:
                try:
                    with file.open(name) as member:
                        return member.read(HEAD)
                except _ZIP_ERRORS:
                    return b""

            def listing(name: str) -> bytes:
                if file.getinfo(name).file_size > _LARGEST_LISTING:
                    raise UserError(f"{path}: {name} has more than {_LARGEST_LISTING:,} bytes")
                return file.read(name)

            found = _labelled(path, tree, head, listing, left_out, label_source)
    except _ZIP_ERRORS as error:
        raise UserError(f"{path} cannot be read as a zip ({error}): copy or download it again") from None
    return _source(found, partial(_read_zip, path), left_out)


def _arrays(path: Path, scratch: Path, label_source: LabelSource) -> Source:
    pixels, given = arrays.open_arrays(path, scratch)
    names, read = [str(index) for index in range(len(pixels))], partial(arrays.read_image, pixels)
    if given is None or label_source != "auto":
        if label_source == "folders":
            raise UserError(f"--labels folders: {path} has no folders")
        return Source(names, read, None, ())
    found, classes = labels.numbered(dict(zip(names, given.tolist(), strict=True)))
    return Source(names, read, found, classes, f"from the member labels of {path.name}")


def _source(found: Labelled, read: Callable[[str], Any], left_out: LeftOut) -> Source:
    return Source(found.names, read, found.labels, found.classes, found.origin, tuple(left_out.lines()), found.notes)


def _labelled(
    path: Path,
    tree: FileTree,
    head: Callable[[str], bytes],
    read_listing: Callable[[str], bytes],
    left_out: LeftOut,
    label_source: LabelSource,
) -> Labelled:
    """The images among the files, with their labels."""
    images: dict[str, Parts] = {}
    listings: dict[Parts, str] = {}
    for name, parts in tree.files.items():
        suffix = os.path.splitext(parts[-1])[1].lower()
        if parts[-1] == LISTING:
            listings[parts[:-1]] = name
        elif suffix in SUFFIXES or is_image(parts[-1], head(name)):
            images[name] = parts
        else:
            left_out.add(UNREAD_FORMAT if suffix in UNREAD_SUFFIXES else NO_IMAGE, name)
    outer = labels.outer_folder(list(images.values()))
    place = min((folder for folder in listings if outer[: len(folder)] == folder), key=len, default=None)
    for folder in sorted(listings.keys() - {place}):
        left_out.add(OTHER_LISTING, listings[folder])
    try:
        if label_source == "none":
            return labels.unlabelled(images, "none, as asked")
        if place is not None and label_source == "auto":
            found = labels.from_listing(images, read_listing(listings[place]), place)
        else:
            found = labels.from_folders(images, tree.folders, left_out, forced=label_source == "folders")
        labels.check_links(found.labels or {}, found.classes, tree.identities)
        return found
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: {LISTING} cannot be read ({error.strerror or error})") from None


def _read_file(folder: Path, name: str) -> bytes:
    return read_regular(folder / name, MOST_BYTES)


@cache  # per process: opening a zip of a million members takes seconds
def _opened(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _read_zip(path: Path, name: str) -> bytes:
    file = _opened(path)
    size = file.getinfo(name).file_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes; at most {MOST_BYTES:,} are read")
    return file.read(name)


def close_sources() -> None:
    """Close the open files of this process, so that a replaced file is read again."""
    _opened.cache_clear()
    arrays.mapped.cache_clear()
