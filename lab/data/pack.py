"""Packing: images of a source are inspected, cropped, resized and written in order to one file."""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lab.data.decoders import Decoders
from lab.data.decoding import Fit, ImageInfo, inspect_image, square_pixels
from lab.data.image_formats import SUFFIXES
from lab.data.images import RESOLUTIONS, write_images
from lab.data.labels import LabelSource
from lab.data.sources import Source, close_sources, open_source
from lab.errors import UserError
from lab.terminal.text import one_line

_SHOWN = 10  # broken images in an error
_FEW = 1000  # starting processes costs more than decoding fewer images than this
_CHUNK = 16  # images per task of a process; Ctrl-C waits for a few tasks
_CHUNK_BYTES = 2**21  # limit of the result of a task

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Packed:
    """Result of packing: the written set, its rule, and lines for the user.

    labels: where the labels come from. notes: unexpected properties of the set. broken: images that cannot be read,
    with the reason. left_out: what else the source holds, by reason.
    """

    count: int
    resolution: int
    channels: int
    classes: tuple[str, ...]
    fingerprint: str
    rule: str
    labels: str
    notes: list[str]
    broken: list[str]
    left_out: list[str]


def pack(
    source: Path,
    out: Path,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    fit: Fit = "crop",
    label_source: LabelSource = "auto",
    skip_broken: bool = False,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Packed:
    """Pack a folder, a StyleGAN zip, .npy or .npz into `out`. Raises UserError; `out` is written atomically.

    fit: an image becomes square by cropping its centre (`crop`), by stretching (`stretch`), or centred on black and
    shrunk if it is larger (`pad`). resolution: by default the largest power of two that needs no enlargement.
    Images are resized by box averaging if both sides shrink by whole factors, else by Lanczos. channels: 1 or 3, by
    default 3 if any image's format has colour. Transparent images are put on white. label_source: dataset.json, else
    the folders ("auto"), the folders, or none. skip_broken: leave out images that cannot be read, instead of raising.
    progress: called with finished and total steps, two per image.
    """
    _check(source, out, resolution, channels, overwrite)
    scratch = out.with_name(f".{out.name}-{secrets.token_hex(4)}.npy")
    try:
        found = open_source(source, scratch, label_source)
        if not found.names:
            beside = "".join(f"; left out {line}" for line in found.left_out)
            raise UserError(f"{source} holds no images ({', '.join(SUFFIXES[:4])} ...){beside}")
        total = 2 * len(found.names)
        with Decoders(workers if len(found.names) >= _FEW else 1) as decoders:
            infos, broken = _survey(source, found, decoders, skip_broken, lambda done: progress(done, total))
            side, why = (resolution, "as asked") if resolution else _largest_power(source, infos)
            depth = channels or (3 if any(info.has_colour for info in infos.values()) else 1)
            rule, names = _rule(fit, side, why), list(infos)
            labels, classes, emptied = _of_the_readable(found, names)
            decode = partial(square_pixels, found.read, side=side, channels=depth, fit=fit)

            def packed() -> Iterator[np.ndarray]:
                chunk = max(1, min(_CHUNK, _CHUNK_BYTES // (depth * side * side)))
                for index, image in enumerate(decoders.map(decode, names, chunk)):
                    progress(len(found.names) + index + 1, total)
                    yield image

            fingerprint = write_images(
                out,
                packed(),
                shape=(len(names), depth, side, side),
                labels=labels,
                classes=classes,
                rule=rule,
                overwrite=overwrite,
            )
    finally:
        close_sources()
        with suppress(OSError):  # it was never made, or its name is too long
            scratch.unlink()
    notes = [*found.notes, *emptied, *_notes(list(infos.values()), side, depth, fit)]
    left_out = list(found.left_out)
    return Packed(len(names), side, depth, classes, fingerprint, rule, found.origin, notes, broken, left_out)


def _check(source: Path, out: Path, resolution: int | None, channels: int | None, overwrite: bool) -> None:
    # Not by Path: it raises for names that are too long.
    if out.suffix != ".safetensors" or os.path.isdir(out):
        raise UserError(f"{out} cannot name a packed set; write to FILE.safetensors")
    if os.path.exists(out) and os.path.exists(source) and out.samefile(source):
        raise UserError(f"{out} is the source itself; name another file to write")
    if os.path.exists(out) and not overwrite:
        raise UserError(f"{out} exists; --overwrite replaces it")
    if resolution is not None and resolution not in RESOLUTIONS:
        raise UserError(f"--resolution {resolution} is not a power of two from 4 to 1024")
    if channels not in (None, 1, 3):
        raise UserError(f"--channels {channels} is neither 1 (grey) nor 3 (colour)")


def _survey(
    source: Path, found: Source, decoders: Decoders, skip_broken: bool, progress: Callable[[int], None]
) -> tuple[dict[str, ImageInfo], list[str]]:
    """Size and colour of every image, and the images that cannot be read. Raises UserError unless these are skipped."""
    infos: dict[str, ImageInfo] = {}
    broken = []
    for name, info in zip(
        found.names, decoders.map(partial(inspect_image, found.read), found.names, _CHUNK), strict=True
    ):
        if isinstance(info, str):
            broken.append(f"{one_line(name)}: {info}")
        else:
            infos[name] = info
        progress(len(infos) + len(broken))
    if broken and not skip_broken:
        listed = [*broken[:_SHOWN], *([f"and {len(broken) - _SHOWN} more"] if len(broken) > _SHOWN else [])]
        which = f"{len(broken)} of {len(found.names)} images cannot be read (--broken skip skips them)"
        raise UserError(f"{source}: {which}: {'; '.join(listed)}")
    if not infos:
        raise UserError(f"{source}: none of its {len(broken)} images can be read; first error: {broken[0]}")
    return infos, broken


def _of_the_readable(found: Source, names: list[str]) -> tuple[np.ndarray | None, tuple[str, ...], list[str]]:
    """Labels and classes of the images that can be read, and a note on classes that have none left."""
    if found.labels is None:
        return None, (), []
    labels = np.array([found.labels[name] for name in names], np.int64)
    present, labels = np.unique(labels, return_inverse=True)
    classes = tuple(found.classes[number] for number in present)
    gone = [one_line(name) for name in found.classes if name not in classes]
    notes = [f"{len(gone):,} classes have no image that can be read: {', '.join(gone[:_SHOWN])}"] if gone else []
    return labels.astype(np.int64), classes, notes


def _largest_power(source: Path, infos: dict[str, ImageInfo]) -> tuple[int, str]:
    """The largest resolution that needs no enlargement, and the reason."""
    smallest = min(infos, key=lambda name: min(infos[name][:2]))
    width, height = infos[smallest][:2]
    which = f"the smallest image, {one_line(smallest)} of {width} x {height}"
    if min(width, height) < 4:
        raise UserError(f"{source}: {which}, has a side below 4; remove it or give --resolution")
    return min(2 ** (min(width, height).bit_length() - 1), RESOLUTIONS[-1]), f"the largest power of two in {which}"


def _rule(fit: Fit, side: int, why: str) -> str:
    target = f"{side} x {side} ({why})"
    how = {
        "crop": f"cropped to the centre square and resized to {target}",
        "pad": f"centred on black, {target}, and shrunk where larger",
        "stretch": f"stretched to {target}",
    }[fit]
    return f"{how}; resized by box averaging for whole factors, else Lanczos"


def _notes(infos: list[ImageInfo], side: int, channels: int, fit: Fit) -> list[str]:
    """Notes on unexpected properties of the set."""
    colour, small = sum(info.has_colour for info in infos), sum(min(info[:2]) < side for info in infos)
    notes = []
    if channels == 3 and colour < len(infos):
        notes.append(f"{len(infos) - colour:,} of {len(infos):,} images are grey and were stored in 3 channels")
    if channels == 1 and colour:
        notes.append(f"{colour:,} of {len(infos):,} images have colour and were stored in grey")
    if small and fit != "pad":
        notes.append(f"{small:,} of {len(infos):,} images have a side below {side} and were enlarged")
    remarks = Counter(remark for info in infos for remark in info.remarks)
    notes += [f"{count:,} of {len(infos):,} images {remark}" for remark, count in sorted(remarks.items())]
    if len(infos) == 1:
        notes.append("the set has one image; training needs two or more")
    return notes
