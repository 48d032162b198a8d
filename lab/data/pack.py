"""Pictures from a folder, a zip or arrays to one packed file: cropped, resized, decoded in parallel, kept in order."""

import io
import json
import multiprocessing
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lab.data.images import write_images
from lab.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
Fit = Literal["crop", "pad", "stretch"]
_SHOWN = 10


@dataclass(frozen=True)
class Source:
    """Where pictures are: `read` gives the bytes (or the array) of a name; labels by name, if all have one."""

    names: list[str]
    read: Callable[[str], Any]
    labels: dict[str, int] | None
    classes: tuple[str, ...]


@dataclass
class Packed:
    """What was written, and which pictures were left out with the reason."""

    count: int
    resolution: int
    channels: int
    classes: tuple[str, ...]
    fingerprint: str
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

    A picture is made square (`crop` the centre, `pad` with black, or `stretch`) and resized (Lanczos) to
    `resolution`, by default the largest power of two that no picture's smaller side is below. `channels` is 1 or 3,
    by default 3 if any picture has colour. Transparent pictures lie on white. Raises UserError; a broken picture
    is refused unless `skip_broken`.
    """
    if out.exists() and not overwrite:
        raise UserError(f"{out} exists; --overwrite replaces it")
    if resolution is not None and (resolution < 4 or resolution > 1024 or resolution & (resolution - 1)):
        raise UserError(f"--resolution {resolution} is no power of two from 4 to 1024")
    found = open_source(source)
    if not found.names:
        raise UserError(f"{source} holds no pictures ({', '.join(SUFFIXES[:4])} ...)")
    with _pool(workers, found.read) as each:
        facts, broken = {}, []
        for name, fact in zip(found.names, each(_look, found.names), strict=True):
            if isinstance(fact, str):
                broken.append(f"{name}: {fact}")
            else:
                facts[name] = fact
            progress(len(facts) + len(broken), 2 * len(found.names))
        if broken and not skip_broken:
            more = f"\n  and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
            lines = "\n  ".join(broken[:_SHOWN])
            raise UserError(f"{len(broken)} pictures cannot be read (--broken skip leaves them out):\n  {lines}{more}")
        names = list(facts)
        if not names:
            raise UserError(f"{source}: none of its {len(broken)} pictures can be read")
        side = resolution or _largest_power(min(min(size) for size, _ in facts.values()), source)
        depth = channels or (3 if any(colour for _, colour in facts.values()) else 1)
        labels = None if found.labels is None else np.array([found.labels[name] for name in names], dtype=np.int64)

        def pictures() -> Iterator[np.ndarray]:
            made = each(partial(_make, side=side, channels=depth, fit=fit), names)
            for index, picture in enumerate(made):
                progress(len(found.names) + index + 1, 2 * len(found.names))
                yield picture

        shape = (len(names), depth, side, side)
        fingerprint = write_images(
            out, pictures(), shape=shape, labels=labels, classes=found.classes, overwrite=overwrite
        )
    return Packed(len(names), side, depth, found.classes, fingerprint, broken)


def open_source(path: Path) -> Source:
    """A folder, zip or array file as a `Source`. Raises UserError."""
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    if path.suffix == ".zip":
        return _zip(path)
    if path.suffix in (".npy", ".npz"):
        return _arrays(path)
    raise UserError(f"{path} is no folder, .zip, .npy or .npz")


def _folder(path: Path) -> Source:
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    names = [p.relative_to(path).as_posix() for p in files]
    tops = [name.split("/")[0] if "/" in name else None for name in names]
    classes = tuple(sorted({top for top in tops if top is not None}))
    labels = None
    if len(classes) > 1 and None not in tops:  # one subfolder or loose pictures say nothing about classes
        labels = {name: classes.index(top) for name, top in zip(names, tops, strict=True) if top is not None}
    return Source(names, partial(_read_file, path), labels, classes if labels else ())


def _zip(path: Path) -> Source:
    try:
        with zipfile.ZipFile(path) as file:
            names = [name for name in file.namelist() if Path(name).suffix.lower() in SUFFIXES]
            listed = json.loads(file.read("dataset.json")).get("labels") if "dataset.json" in file.namelist() else None
    except (zipfile.BadZipFile, ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error})") from None
    labels = {str(name): int(label) for name, label in listed} if listed else None
    if labels is not None and set(names) - labels.keys():
        raise UserError(f"{path}: dataset.json has no label for {sorted(set(names) - labels.keys())[0]}")
    classes = tuple(str(k) for k in range(max(labels.values()) + 1)) if labels else ()
    return Source(names, partial(_read_zip, path), labels, classes)


def _arrays(path: Path) -> Source:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        images = loaded if path.suffix == ".npy" else loaded["images"]
        labels = loaded["labels"] if path.suffix == ".npz" and "labels" in loaded.files else None
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read as images uint8 [N, H, W(, C)] and labels [N] ({error})") from None
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UserError(f"{path}: images are {images.dtype} {list(images.shape)}, not uint8 [N, H, W] or [N, H, W, C]")
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    names = [str(index) for index in range(len(images))]
    found = None if labels is None else {name: int(label) for name, label in zip(names, labels, strict=True)}
    classes = tuple(str(k) for k in range(max(found.values()) + 1)) if found else ()
    return Source(names, partial(_read_array, images), found, classes)


def _read_file(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


_open_zips: dict[Path, zipfile.ZipFile] = {}


def _read_zip(path: Path, name: str) -> bytes:
    if path not in _open_zips:
        _open_zips[path] = zipfile.ZipFile(path)
    return _open_zips[path].read(name)


def _read_array(images: np.ndarray, name: str) -> np.ndarray:
    return np.asarray(images[int(name)])


def _open(content: bytes | np.ndarray) -> Any:
    """A PIL image of mode L or RGB."""
    from PIL import Image

    if isinstance(content, np.ndarray):
        return Image.fromarray(content[:, :, 0] if content.ndim == 3 and content.shape[2] == 1 else content)
    image = Image.open(io.BytesIO(content))
    image.load()
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode in ("1", "I;16") else "RGB")


def _look(name: str) -> tuple[tuple[int, int], bool] | str:
    """Size and whether it has colour, or why it cannot be read."""
    try:
        image = _open(_reader(name))
        return image.size, image.mode == "RGB"
    except (OSError, ValueError, SyntaxError, zipfile.BadZipFile) as error:
        return str(error) or type(error).__name__


def _make(name: str, side: int, channels: int, fit: Fit) -> np.ndarray:
    from PIL import Image, ImageOps

    image = _open(_reader(name)).convert("L" if channels == 1 else "RGB")
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
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _largest_power(smaller_side: int, source: Path) -> int:
    if smaller_side < 4:
        raise UserError(f"{source} has a picture with a side of {smaller_side} pixels; 4 is the least (--resolution)")
    return min(2 ** (smaller_side.bit_length() - 1), 1024)


_reader: Callable[[str], Any]  # set in every process by `_begin`


def _begin(read: Callable[[str], Any]) -> None:
    global _reader
    _reader = read


class _pool:
    """Maps a function over names in order, in this process or in `workers` others."""

    def __init__(self, workers: int, read: Callable[[str], Any]) -> None:
        self._read, self._pool = read, None
        if workers > 1:
            # spawn: a fork of a process with threads can hang.
            self._pool = multiprocessing.get_context("spawn").Pool(workers, _begin, (read,))

    def __enter__(self) -> Callable[[Callable[[str], Any], Iterable[str]], Iterator[Any]]:
        _begin(self._read)
        if self._pool is None:
            return map  # type: ignore[return-value]
        return partial(self._pool.imap, chunksize=64)  # type: ignore[return-value]

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.terminate()
