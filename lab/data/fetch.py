"""Public sets of pictures: downloaded by pooch with hashes, packed into the cache."""

import gzip
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.data.images import cache_directory, write_images
from lab.errors import UserError
from lab.nearest import did_you_mean

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Public:
    """Files by address with their MD5 as published, and how to read images [N, C, 32, 32] and labels from them."""

    base: str
    files: dict[str, str]
    read: Callable[[list[Path]], Arrays]
    classes: tuple[str, ...]


def fetch(name: str, *, overwrite: bool = False) -> Path:
    """Download and pack `name` unless it is there; returns the packed file. Raises UserError."""
    if name not in SETS:
        raise UserError(f"no public set {name!r}; {did_you_mean(name, list(SETS))}")
    target = cache_directory() / f"{name}.safetensors"
    if target.exists() and not overwrite:
        return target
    import pooch

    public = SETS[name]
    try:
        paths = [
            Path(pooch.retrieve(public.base + file, f"md5:{md5}", path=cache_directory() / "downloads"))
            for file, md5 in public.files.items()
        ]
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError is a wrong hash
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"cannot download {name} ({reason}); pack pictures you have with `lab data pack`") from None
    images, labels = public.read(paths)
    write_images(target, iter(images), shape=images.shape, labels=labels, classes=public.classes, overwrite=overwrite)
    return target


def read_idx(data: bytes) -> np.ndarray:
    """An array in the IDX format of MNIST, unsigned bytes alone."""
    if data[:3] != b"\0\0\x08":
        raise UserError("the downloaded file is no IDX file of bytes: fetch it again")
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", dimensions, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_cifar(records: bytes) -> Arrays:
    """Images and labels of CIFAR-10's binary version: a label and 3072 pixels a record."""
    rows = np.frombuffer(records, np.uint8).reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].astype(np.int64)


def _mnist(paths: list[Path]) -> Arrays:
    images, labels = (read_idx(gzip.decompress(path.read_bytes())) for path in paths)
    return np.pad(images, ((0, 0), (2, 2), (2, 2)))[:, None], labels.astype(np.int64)


def _cifar(paths: list[Path]) -> Arrays:
    with tarfile.open(paths[0]) as archive:
        names = sorted(n for n in archive.getnames() if Path(n).name.startswith("data_batch"))
        members = [archive.extractfile(name) for name in names]
        return read_cifar(b"".join(member.read() for member in members if member is not None))


_IMAGES, _LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
_CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SETS = {
    "mnist": Public(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {_IMAGES: "f68b3c2dcbeaaa9fbdd348bbdeb94873", _LABELS: "d53e105ee54ea40749a09fcbcd1e9432"},
        _mnist,
        tuple("0123456789"),
    ),
    "fashion_mnist": Public(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {_IMAGES: "8d4fb7e6c68d591d4c3dfef9ec88bf0d", _LABELS: "25c81989df183df01b3e8a0aad5dffbe"},
        _mnist,
        _FASHION,
    ),
    "cifar10": Public(
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
        _cifar,
        _CIFAR,
    ),
}
