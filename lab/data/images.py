"""A set of square images: the digits of scikit-learn, or a packed file that is mapped into memory.

A packed file is a safetensors file with "images" uint8 [N, C, H, W] and, if labelled, "labels" int64 [N]. Its metadata
has the format, the names of the classes, the rule of cropping and resizing, and a fingerprint of the content.
"""

import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lab.config.suggestions import did_you_mean, shortened
from lab.errors import UserError
from lab.files import durable
from lab.files.plain import parse_json
from lab.files.safetensors_header import header_bytes, read_header

FORMAT, SCHEMA_VERSION = "lab-images", "1"
FETCHED = ("mnist", "fashion_mnist", "cifar10")
_LONG = 2**31  # bytes that take seconds to hash
_PIECE = 2**24  # bytes that are hashed at once
RESOLUTIONS = tuple(2**power for power in range(2, 11))


@dataclass(frozen=True, eq=False)
class ImageSet:
    """images: uint8 [N, C, H, H], in memory or mapped read-only; labels: int64 [N] into `classes`, or None.

    fingerprint: SHA-256 over shape, pixels and labels, as stored when the file was packed. rule: how the images
    were cropped and resized, "" if unknown. path: of the packed file, None for images in memory.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    fingerprint: str
    rule: str = ""
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def inputs(self) -> np.ndarray:
        return self.images

    @property
    def targets(self) -> np.ndarray | None:
        return self.labels

    @property
    def channels(self) -> int:
        return int(self.images.shape[1])

    @property
    def resolution(self) -> int:
        return int(self.images.shape[2])

    @property
    def num_classes(self) -> int:
        return len(self.classes)


def cache_directory() -> Path:
    """Directory of downloaded sets: $LAB_DATA, or the user's cache. Raises UserError without either."""
    if named := os.environ.get("LAB_DATA"):
        return Path(named)
    try:
        return Path.home() / ".cache" / "rivals-lab"
    except RuntimeError:
        raise UserError("no home directory for downloaded data sets: set LAB_DATA to a folder, or HOME") from None


def open_images(source: str) -> ImageSet:
    """ "digits", a name that `lab data fetch` stored (mnist, mnist_test, ...), or a packed file's path.

    Raises UserError, also for a file whose images cannot be trained on.
    """
    if source == "digits":
        return _digits()
    if (public := source.removesuffix("_test")) in FETCHED:
        path, fetch = cache_directory() / f"{source}.safetensors", f"`lab data fetch {public}"
        if not path.is_file():
            raise UserError(f"data set {source!r} is not downloaded; {fetch}` downloads it")
        return _mapped(path, f"{fetch} --overwrite` packs it again")
    path = Path(os.path.expanduser(source))
    # Not by Path: it raises for names that are too long.
    if os.path.isdir(path) or path.suffix.lower() in (".zip", ".npy", ".npz"):
        raise UserError(f"{source} is not packed; pack it with `lab data pack {source} FILE.safetensors`")
    if not os.path.isfile(path):
        raise UserError(
            f"no data set {shortened(source, 300)}; give a packed file's path, or "
            f"{did_you_mean(source, ['digits', *FETCHED])}"
        )
    return _mapped(path, "`lab data pack` writes one")


def verify_images(data: ImageSet) -> None:
    """Compute the fingerprint of a packed set anew. Raises UserError if its pixels or labels have changed.

    Reads the whole file, about a second per GB; large ones have a progress bar on a terminal.
    """
    from lab.terminal.consoles import progress_bar

    if data.path is None:
        return
    digest = hashlib.sha256(repr(data.images.shape).encode())
    step = max(1, _PIECE // math.prod(data.images.shape[1:]))
    with progress_bar(hidden=data.images.nbytes < _LONG) as bar:
        task = bar.add_task(f"checking {data.path.name}", total=len(data))
        for start in range(0, len(data), step):
            digest.update(np.ascontiguousarray(data.images[start : start + step]).data)
            bar.update(task, completed=start)
    if data.labels is not None:
        digest.update(np.ascontiguousarray(data.labels, "<i8").data)
    if digest.hexdigest() != data.fingerprint:
        raise UserError(
            f"{data.path} has changed since it was packed (its pixels or labels do not have the fingerprint that it "
            "states): put the old data back, or pack it again for a new run"
        )


def write_images(
    path: Path,
    images: "ImageSet | Iterable[np.ndarray]",
    *,
    shape: Sequence[int] | None = None,
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
    rule: str = "",
    overwrite: bool = False,
) -> str:
    """Pack images into `path`, one [C, H, H] at a time; returns the fingerprint. Raises UserError.

    An iterable of images needs `shape` [N, C, H, H]. The file is written atomically.
    """
    if isinstance(images, ImageSet):
        shape, labels, classes, rule = images.images.shape, images.labels, images.classes, images.rule
        stream: Iterator[np.ndarray] = iter(images.images)
    else:
        stream = iter(images)
    assert shape is not None, "an iterable of images needs a shape"
    shape = tuple(int(size) for size in shape)
    if os.path.exists(path) and not overwrite:
        raise UserError(f"{path} exists; --overwrite replaces it")
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        needed, free = math.prod(shape), shutil.disk_usage(path.parent).free
        if needed > free:
            raise UserError(f"{path} needs {needed / 2**20:,.0f} MiB and {free / 2**20:,.0f} MiB are free: make room")
        with temporary.open("wb") as file:
            fingerprint = _write(file, stream, shape, labels, classes, rule)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        durable.sync_directory(path.parent)
        return fingerprint
    except OSError as error:
        raise UserError(durable.explain(error, path, "try again")) from error
    finally:
        with suppress(OSError):  # it was never made, or its name is too long
            temporary.unlink()


def _write(
    file: BinaryIO,
    stream: Iterator[np.ndarray],
    shape: tuple[int, ...],
    labels: np.ndarray | None,
    classes: Sequence[str],
    rule: str,
) -> str:
    size = math.prod(shape)
    stored = None if labels is None else np.ascontiguousarray(labels, dtype="<i8").tobytes()
    # Labels first: the header is padded to 8 bytes, so that int64 labels are aligned.
    layout: dict[str, object] = {}
    offset = 0
    if stored is not None:
        layout["labels"] = {"dtype": "I64", "shape": [shape[0]], "data_offsets": [0, len(stored)]}
        offset = len(stored)
    layout["images"] = {"dtype": "U8", "shape": list(shape), "data_offsets": [offset, offset + size]}
    metadata = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "classes": json.dumps(list(classes)), "rule": rule}
    place = header_bytes(layout, metadata | {"fingerprint": "0" * 64})
    file.write(place)
    file.write(stored or b"")
    digest, count = hashlib.sha256(repr(shape).encode()), 0
    for image in stream:
        if image.shape != shape[1:] or image.dtype != np.uint8:
            raise ValueError(f"an image is {image.dtype} {image.shape}, not uint8 {shape[1:]}")
        data = np.ascontiguousarray(image).tobytes()
        digest.update(data)
        file.write(data)
        count += 1
    if count != shape[0]:
        raise ValueError(f"there are {count} images, not the {shape[0]} of the given shape")
    digest.update(stored or b"")
    fingerprint = digest.hexdigest()
    file.seek(0)
    file.write(header_bytes(layout, metadata | {"fingerprint": fingerprint}))
    return fingerprint


def _mapped(path: Path, remedy: str) -> ImageSet:
    damaged = UserError(f"{path} is not a packed image set or is damaged; {remedy}")
    try:
        start, header = read_header(path)
        metadata, layout, labelled = header["__metadata__"], header["images"], header.get("labels")
        if (metadata["format"], metadata["schema_version"], layout["dtype"]) != (FORMAT, SCHEMA_VERSION, "U8"):
            raise damaged
        shape, classes, rule = layout["shape"], parse_json(metadata["classes"]), metadata.get("rule", "")
        begin, end = _place(layout)
        if len(shape) != 4 or end - begin != math.prod(shape):
            raise damaged
        if len(set(classes)) < len(classes):
            raise damaged
        if not all(isinstance(text, str) for text in (*classes, rule, metadata["fingerprint"])):
            raise damaged
        first, last = 0, 0
        if labelled is not None:
            first, last = _place(labelled)
            if (labelled["dtype"], labelled["shape"], last - first) != ("I64", [shape[0]], 8 * shape[0]):
                raise damaged
        # Labels and images, in either order, fill the file without a gap: neither lies in the other.
        if max(end, last) != (end - begin) + (last - first) or (labelled and first != end and begin != last):
            raise damaged
        if path.stat().st_size != start + max(end, last):
            raise UserError(f"{path} is truncated or damaged; {remedy}")
        _check_shape(path, shape)
        images, labels = np.memmap(path, np.uint8, "r", start + begin, tuple(shape)), None
        if labelled is not None:
            labels = np.fromfile(path, "<i8", shape[0], offset=start + first).astype(np.int64)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise damaged from None
    if labels is not None and not 0 <= labels.min() <= labels.max() < len(classes):
        span = f"{labels.min()} to {labels.max()}"
        raise UserError(f"{path} has labels from {span} and {len(classes)} classes; pack it again from its source")
    return ImageSet(path.stem, images, labels, tuple(classes), metadata["fingerprint"], rule, path)


def _place(layout: Mapping[str, Any]) -> tuple[int, int]:
    """First byte and end of a tensor. Raises ValueError unless its numbers are integers from 0."""
    begin, end = layout["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (begin, end, *layout["shape"])):
        raise ValueError("a size or place is not an integer from 0")
    return begin, end


def _check_shape(path: Path, shape: Sequence[int]) -> None:
    count, channels, height, width = shape
    if count == 0:
        raise UserError(f"{path} holds no images; pack it again")
    if channels not in (1, 3):
        raise UserError(f"{path} has images of {channels} channels, not 1 or 3; pack it again from its source")
    if height != width or height not in RESOLUTIONS:
        size = f"{height} x {width}"
        raise UserError(f"{path} has images of {size}; a side is a power of two from 4 to 1024: pack it again")


def _digits() -> ImageSet:
    """scikit-learn's handwritten digits, 8x8, enlarged to 32x32 (Alpaydin and Kaynak 1998, UCI)."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    small = np.rint(found.images * (255.0 / 16.0)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(digit).resize((32, 32), Image.Resampling.BICUBIC)) for digit in small]
    images, labels = np.stack(large)[:, None], found.target.astype(np.int64)
    digest = hashlib.sha256(repr(images.shape).encode() + images.tobytes() + labels.tobytes())
    rule = "published at 8 x 8, enlarged to 32 x 32 (bicubic)"
    return ImageSet("digits", images, labels, tuple("0123456789"), digest.hexdigest(), rule)
