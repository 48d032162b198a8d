"""A set of images by any name: a folder, zip or array file is packed into the cache at its first use."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from lab.config.suggestions import did_you_mean, shortened
from lab.data.file_tree import walk_folder
from lab.data.images import FETCHED, ImageSet, cache_directory, open_images
from lab.data.labels import LabelSource
from lab.data.left_out import LeftOut
from lab.data.pack import pack
from lab.errors import UserError
from lab.terminal.consoles import progress_bar
from lab.terminal.streams import warn

_ARRAYS = (".zip", ".npy", ".npz")
_KNOWN = ("digits", *FETCHED, *(f"{name}_test" for name in FETCHED))
_FOLDER = "packed"  # in the cache
_WORKERS = 2
_SHOWN = 5  # images that could not be read


def open_or_pack(source: str, *, resolution: int, channels: int, labelled: bool) -> ImageSet:
    """As `lab.data.images.open_images`; what is not packed is packed at `resolution` with `channels`.

    labelled: whether labels are wanted; without, all images are taken, whatever folders they lie in. A packed copy is
    used as long as the names, sizes and times of the source's files are the same. What is left out is printed on
    standard error. Raises UserError.
    """
    path = Path(os.path.expanduser(source))  # not by Path, which raises for an unknown user
    if not (os.path.isdir(path) or (path.suffix.lower() in _ARRAYS and os.path.isfile(path))):
        if source not in _KNOWN and not os.path.exists(path):
            name, known = shortened(source, 300), did_you_mean(source, _KNOWN)
            raise UserError(f"no folder, file or data set {name}: give one (a run's by data.source=FOLDER); {known}")
        return open_images(source)
    path = path.resolve()
    state = _state(path, f"{resolution}x{resolution}x{channels}, labels {labelled}")
    packed = cache_directory() / _FOLDER / f"{path.stem[:64] or 'images'}-{state[:16]}.safetensors"
    if not packed.is_file():
        _pack(path, packed, resolution, channels, "auto" if labelled else "none")
    return open_images(str(packed))


def _pack(source: Path, out: Path, resolution: int, channels: int, labels: LabelSource) -> None:
    warn(f"packing {source} at {resolution} x {resolution} ...")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{source} cannot be packed: {out.parent} ({error.strerror}); set LAB_DATA to a folder"
        ) from None
    with progress_bar() as bar:
        task = bar.add_task("packing", total=None)
        found = pack(
            source,
            out,
            resolution=resolution,
            channels=channels,
            label_source=labels,
            skip_broken=True,
            workers=_WORKERS,
            overwrite=True,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    skipped = [f"skipped {line}" for line in found.broken[:_SHOWN]]
    if len(found.broken) > _SHOWN:
        skipped.append(f"skipped {len(found.broken) - _SHOWN:,} more images that cannot be read")
    for line in (*skipped, *(f"left out {line}" for line in found.left_out), *(f"note: {n}" for n in found.notes)):
        warn(line)
    warn(f"packed {found.count:,} images in {out}; `lab data inspect {out} --sheet sheet.png` shows them")


def _state(path: Path, settings: str) -> str:
    """Hash of the names, sizes and times of all files, and of the settings."""
    digest = hashlib.sha256(f"{path}\n{settings}\n".encode("utf-8", "surrogateescape"))
    for file in _files(path):
        try:
            found = os.stat(file)
        except OSError:  # a broken link; packing reports it
            continue
        digest.update(f"{file}\n{found.st_size}\n{found.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(path: Path) -> Iterator[str]:
    """The files of a source in order, those that packing looks at."""
    if os.path.isdir(path):
        yield from (os.path.join(path, name) for name in sorted(walk_folder(path, LeftOut()).files))
    else:
        yield str(path)
