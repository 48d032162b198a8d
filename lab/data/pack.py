"""Packing: images of a source are inspected, cropped, resized and written in order to one file."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lab.data.decoders import Decoders
from lab.data.decoding import Fit, Look, look, make
from lab.data.images import RESOLUTIONS, write_images
from lab.data.sources import SUFFIXES, Source, close_sources, open_source
from lab.errors import UserError

_SHOWN = 10  # broken images in an error
_FEW = 1000  # starting processes costs more than decoding fewer images than this
_CHUNK = 16  # images that go to a process at once; Ctrl-C waits for a few of these
_CHUNK_BYTES = 2**21  # and not more than this comes back at once

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Packed:
    """What was written, by which rule, notes on the set, and the images left out with the reason."""

    count: int
    resolution: int
    channels: int
    classes: tuple[str, ...]
    fingerprint: str
    rule: str
    notes: list[str]
    broken: list[str]


def pack(
    source: Path,
    out: Path,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    fit: Fit = "crop",
    skip_broken: bool = False,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Packed:
    """Pack a folder, a StyleGAN zip, .npy or .npz into `out`. Raises UserError; `out` appears complete or not at all.

    An image is made square: its centre is cropped (`crop`), it is stretched (`stretch`), or it is centred on black
    and shrunk if it does not fit (`pad`). It is resized to `resolution`, by default the largest power of two that no
    image's smaller side is below: by the means of boxes where both sides are whole multiples of the new ones, else
    by Lanczos. `channels` is 1 or 3, by default 3 if any image's format has colour. Transparent images lie on
    white. A broken image is refused unless `skip_broken`. `progress` gets steps done and in all, two an image.
    """
    _check(source, out, resolution, channels, overwrite)
    scratch = out.with_name(f".{out.name}-{secrets.token_hex(4)}.npy")
    try:
        found = open_source(source, scratch)
        if not found.names:
            raise UserError(f"{source} holds no images ({', '.join(SUFFIXES[:4])} ...)")
        total = 2 * len(found.names)
        with Decoders(workers if len(found.names) >= _FEW else 1) as decoders:
            looks, broken = _survey(source, found, decoders, skip_broken, lambda done: progress(done, total))
            side, why = (resolution, "as asked") if resolution else _largest_power(source, looks)
            depth = channels or (3 if any(seen.has_colour for seen in looks.values()) else 1)
            rule, names = _rule(fit, side, why), list(looks)
            making = partial(make, found.read, side=side, channels=depth, fit=fit)

            def packed() -> Iterator[np.ndarray]:
                chunk = max(1, min(_CHUNK, _CHUNK_BYTES // (depth * side * side)))
                for index, image in enumerate(decoders.map(making, names, chunk)):
                    progress(len(found.names) + index + 1, total)
                    yield image

            fingerprint = write_images(
                out,
                packed(),
                shape=(len(names), depth, side, side),
                labels=None if found.labels is None else np.array([found.labels[name] for name in names], np.int64),
                classes=found.classes,
                rule=rule,
                overwrite=overwrite,
            )
    finally:
        close_sources()
        if scratch.exists():
            scratch.unlink()
    notes = _notes(list(looks.values()), side, depth, fit)
    return Packed(len(names), side, depth, found.classes, fingerprint, rule, notes, broken)


def _check(source: Path, out: Path, resolution: int | None, channels: int | None, overwrite: bool) -> None:
    if out.suffix != ".safetensors" or out.is_dir():
        raise UserError(f"{out} is no name for a packed set; write to FILE.safetensors")
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f"{out} is the source itself; name another file to write")
    if out.exists() and not overwrite:
        raise UserError(f"{out} exists; --overwrite replaces it")
    if resolution is not None and resolution not in RESOLUTIONS:
        raise UserError(f"--resolution {resolution} is no power of two from 4 to 1024")
    if channels not in (None, 1, 3):
        raise UserError(f"--channels {channels} is neither 1 (grey) nor 3 (colour)")


def _survey(
    source: Path, found: Source, decoders: Decoders, skip_broken: bool, progress: Callable[[int], None]
) -> tuple[dict[str, Look], list[str]]:
    """Size and colour of every image, and which cannot be read. Raises UserError unless those may be left out."""
    looks: dict[str, Look] = {}
    broken = []
    for name, seen in zip(found.names, decoders.map(partial(look, found.read), found.names, _CHUNK), strict=True):
        if isinstance(seen, str):
            broken.append(f"{_printable(name)}: {seen}")
        else:
            looks[name] = seen
        progress(len(looks) + len(broken))
    if broken and not skip_broken:
        listed = [*broken[:_SHOWN], *([f"and {len(broken) - _SHOWN} more"] if len(broken) > _SHOWN else [])]
        which = f"{len(broken)} of {len(found.names)} images cannot be read (--broken skip leaves them out)"
        raise UserError("\n  ".join([f"{source}: {which}:", *listed]))
    if not looks:
        raise UserError(f"{source}: none of its {len(broken)} images can be read, the first because of {broken[0]}")
    return looks, broken


def _largest_power(source: Path, looks: dict[str, Look]) -> tuple[int, str]:
    """The largest resolution that every image fills, and the reason."""
    smallest = min(looks, key=lambda name: min(looks[name][:2]))
    width, height, _ = looks[smallest]
    which = f"the smallest image, {_printable(smallest)} of {width} x {height}"
    if min(width, height) < 4:
        raise UserError(f"{source}: {which}, has a side below 4; leave it out or say --resolution")
    return min(2 ** (min(width, height).bit_length() - 1), RESOLUTIONS[-1]), f"the largest power of two in {which}"


def _rule(fit: Fit, side: int, why: str) -> str:
    target = f"{side} x {side} ({why})"
    how = {
        "crop": f"cropped to the centre square and resized to {target}",
        "pad": f"centred on black, {target}, and shrunk where larger",
        "stretch": f"stretched to {target}",
    }[fit]
    return f"{how}; resized by means of boxes for whole factors, else Lanczos"


def _notes(looks: list[Look], side: int, channels: int, fit: Fit) -> list[str]:
    """Notes on properties of the set that a user may not expect."""
    colour, small = sum(seen.has_colour for seen in looks), sum(min(seen[:2]) < side for seen in looks)
    notes = []
    if channels == 3 and colour < len(looks):
        notes.append(f"{len(looks) - colour:,} of {len(looks):,} images are grey and were stored in 3 channels")
    if channels == 1 and colour:
        notes.append(f"{colour:,} of {len(looks):,} images have colour and were stored in grey")
    if small and fit != "pad":
        notes.append(f"{small:,} of {len(looks):,} images have a side below {side} and were enlarged")
    if len(looks) == 1:
        notes.append("the set is one image; training takes two or more")
    return notes


def _printable(name: str) -> str:
    """A file's name on one line, whatever bytes are in it."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in name)
