"""Pictures from a source to one packed file: cropped, resized, decoded in parallel, kept in order."""

import io
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lab.data.images import write_images
from lab.data.sources import SUFFIXES, close_sources, open_source
from lab.errors import UserError

Fit = Literal["crop", "pad", "stretch"]
_SHOWN = 10
_CHUNK = 64
_FEW = 1000  # starting processes costs more than decoding fewer pictures than this


@dataclass
class Packed:
    """What was written, by which rule, and which pictures were left out with the reason."""

    count: int
    resolution: int
    channels: int
    classes: tuple[str, ...]
    fingerprint: str
    rule: str
    broken: list[str] = field(default_factory=list)


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
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Packed:
    """Pack a folder, a StyleGAN zip, .npy or .npz into `out`.

    A picture is made square (`crop` the centre, `pad` with black, or `stretch`) and resized (box for whole factors,
    else Lanczos) to `resolution`, by default the largest power of two that no picture's smaller side is below.
    `channels` is 1 or 3, by default 3 if any picture has colour. Transparent pictures lie on white. Raises
    UserError; a broken picture is refused unless `skip_broken`.
    """
    if out.is_dir() or (out.exists() and source.exists() and out.samefile(source)):
        raise UserError(f"{out} is a folder or the source itself; name another file to write")
    if out.exists() and not overwrite:
        raise UserError(f"{out} exists; --overwrite replaces it")
    if resolution is not None and (resolution < 4 or resolution > 1024 or resolution & (resolution - 1)):
        raise UserError(f"--resolution {resolution} is no power of two from 4 to 1024")
    found = open_source(source)
    if not found.names:
        raise UserError(f"{source} holds no pictures ({', '.join(SUFFIXES[:4])} ...)")
    total = 2 * len(found.names)
    with _Decoders(workers if found.parallel and len(found.names) >= _FEW else 1, found.read) as decoders:
        facts, broken = {}, []
        for name, fact in zip(found.names, decoders.map(_look, found.names), strict=True):
            if isinstance(fact, str):
                broken.append(f"{name}: {fact}")
            else:
                facts[name] = fact
            progress(len(facts) + len(broken), total)
        if broken and not skip_broken:
            more = f"\n  and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
            lines = "\n  ".join(broken[:_SHOWN])
            raise UserError(f"{len(broken)} pictures cannot be read (--broken skip leaves them out):\n  {lines}{more}")
        names = list(facts)
        if not names:
            raise UserError(f"{source}: none of its {len(broken)} pictures can be read")
        smallest = min(names, key=lambda name: min(facts[name][0]))
        smaller_side = min(facts[smallest][0])
        side = resolution or _largest_power(smaller_side, source)
        depth = channels or (3 if any(colour for _, colour in facts.values()) else 1)
        labels = None if found.labels is None else np.array([found.labels[name] for name in names], dtype=np.int64)

        def pictures() -> Iterator[np.ndarray]:
            made = decoders.map(partial(_make, side=side, channels=depth, fit=fit), names)
            for index, picture in enumerate(made):
                progress(len(found.names) + index + 1, total)
                yield picture

        shape = (len(names), depth, side, side)
        fingerprint = write_images(
            out, pictures(), shape=shape, labels=labels, classes=found.classes, overwrite=overwrite
        )
    given = "as asked" if resolution else f"largest power of two in the smallest picture ({smallest}, {smaller_side})"
    how = {"crop": "centre cropped", "pad": "on a black border", "stretch": "stretched"}[fit]
    return Packed(len(names), side, depth, found.classes, fingerprint, f"{how}; {side} pixels: {given}", broken)


def _open(content: bytes | np.ndarray) -> Any:
    """A PIL image of mode L or RGB, upright, on white."""
    from PIL import Image, ImageOps

    if isinstance(content, np.ndarray):
        image = Image.fromarray(content[:, :, 0] if content.ndim == 3 and content.shape[2] == 1 else content)
    else:
        image = Image.open(io.BytesIO(content))
        image.load()
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        # PIL's own conversion would cut everything above 255 off.
        image = Image.fromarray(np.rint(np.asarray(image) / 257.0).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per pixel are not supported")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        grey = image.mode in ("L", "LA", "La")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("L" if grey else "RGB")
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")


def _look(name: str) -> tuple[tuple[int, int], bool] | str:
    """Size and whether it has colour, or why it cannot be read."""
    try:
        image = _open(_read(name))
    except Exception as error:  # decoders of damaged files raise nearly anything; memory is the machine's, not theirs
        if isinstance(error, MemoryError):
            raise
        return (str(error) or type(error).__name__).splitlines()[0]
    return image.size, image.mode == "RGB"


def _make(name: str, side: int, channels: int, fit: Fit) -> np.ndarray:
    """uint8 [channels, side, side]. Raises UserError when the picture can no longer be read."""
    from PIL import Image, ImageOps

    try:
        image = _open(_read(name)).convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError) as error:
        raise UserError(f"{name} changed while it was packed ({error}); pack again") from None
    width, height = image.size
    if fit == "crop":
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        image = image.crop((left, top, left + short, top + short))
    if fit == "pad" and max(width, height) <= side:
        left, top = (side - width) // 2, (side - height) // 2
        image = ImageOps.expand(image, (left, top, side - width - left, side - height - top), fill=0)
    elif fit == "pad":
        image = ImageOps.pad(image, (side, side), Image.Resampling.LANCZOS, color="black")
    elif image.size != (side, side):
        whole = image.width % side == 0 and image.height % side == 0
        image = image.resize((side, side), Image.Resampling.BOX if whole else Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _largest_power(smaller_side: int, source: Path) -> int:
    if smaller_side < 4:
        raise UserError(f"{source} has a picture with a side of {smaller_side} pixels; 4 is the least (--resolution)")
    return min(2 ** (smaller_side.bit_length() - 1), 1024)


_read: Callable[[str], Any]  # set in every process by `_begin`


def _begin(read: Callable[[str], Any], is_worker: bool = True) -> None:
    global _read
    _read = read
    if is_worker:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers


def _each(function: Callable[[str], Any], names: Sequence[str]) -> list[Any]:
    return [function(name) for name in names]


class _Decoders:
    """Maps a function over names in order, in this process or in `workers` others, few chunks ahead."""

    def __init__(self, workers: int, read: Callable[[str], Any]) -> None:
        self._read, self._workers = read, workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "_Decoders":
        _begin(self._read, is_worker=False)
        if self._workers > 1:
            # spawn: a fork of a process with threads can hang.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, context, _begin, (self._read,))
        return self

    def map(self, function: Callable[[str], Any], names: Sequence[str]) -> Iterator[Any]:
        """The function of each name, in order. Raises UserError when a worker dies."""
        if self._pool is None:
            yield from map(function, names)
            return
        chunks = (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))
        # What is decoded and not yet written stays bounded, however slow the disk is.
        waiting: deque[Future[list[Any]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(self._pool.submit(_each, function, chunk))
                if len(waiting) > 3 * self._workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError("a decoding process was killed, likely for memory: use fewer --workers") from None

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        close_sources()
