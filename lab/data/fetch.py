"""Public image sets: downloaded by pooch with hashes and packed into the cache, one file each for training and test."""

import gzip
import logging
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from lab.config.suggestions import did_you_mean, shortened
from lab.data.images import cache_directory, write_images
from lab.errors import UserError
from lab.files import durable

Arrays = tuple[np.ndarray, np.ndarray]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PublicSet:
    """A public image set: base address, files with their published MD5, and reader.

    read: (folder of the files, whether to read the test images) -> images uint8 [N, C, 32, 32], labels int64 [N].
    """

    base: str
    files: dict[str, str]
    read: Callable[[Path, bool], Arrays]
    classes: tuple[str, ...]
    rule: str


def fetch(name: str, *, overwrite: bool = False, progress: Progress = lambda file, done, total: None) -> list[Path]:
    """Download a set and pack NAME and NAME_test unless they exist; return both files. Raises UserError.

    Downloaded files stay in the cache. progress: called with a file, its bytes so far and its size.
    """
    name = name.removesuffix("_test")
    if name not in SETS:
        raise UserError(f"no public set {shortened(name)}; {did_you_mean(name, list(SETS))}")
    public, folder = SETS[name], cache_directory() / "downloads" / name
    packed = [cache_directory() / f"{name}{suffix}.safetensors" for suffix in ("", "_test")]
    missing = [path for path in packed if overwrite or not path.exists()]
    if missing:
        for file, md5 in public.files.items():
            _download(public.base + file, folder / file, md5, progress)
    for path in missing:
        images, labels = public.read(folder, path is packed[1])
        write_images(
            path,
            iter(images),
            shape=images.shape,
            labels=labels,
            classes=public.classes,
            rule=public.rule,
            overwrite=overwrite,
        )
    return packed


def read_idx(data: bytes) -> np.ndarray:
    """An array of unsigned bytes in the IDX format of MNIST."""
    if data[:3] != b"\0\0\x08":
        raise UserError("the downloaded file is not an IDX file of bytes: fetch it again")
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", dimensions, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_cifar(records: bytes) -> Arrays:
    """Images and labels of CIFAR-10's binary version: each record is a label and 3072 pixels."""
    rows = np.frombuffer(records, np.uint8).reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].astype(np.int64)


class _Bar:
    """A progress bar with the interface that pooch needs."""

    def __init__(self, file: str, progress: Progress) -> None:
        self._file, self._progress, self._done = file, progress, 0
        self.total = 0

    def update(self, count: int) -> None:
        self._done += count
        self._progress(self._file, min(self._done, self.total), self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def _download(url: str, path: Path, md5: str, progress: Progress) -> None:
    """Download `path` unless it has that MD5 already."""
    import pooch

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{durable.explain(error, path.parent)}; LAB_DATA names another folder") from None
    pooch.get_logger().setLevel(logging.WARNING)
    get = pooch.HTTPDownloader(progressbar=_Bar(path.name, progress), chunk_size=2**20)
    try:
        pooch.retrieve(url, f"md5:{md5}", fname=path.name, path=path.parent, downloader=get)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError is a wrong hash
        reason = _reason(error, urlsplit(url).netloc)
        fix = f"try again, put the file into {path.parent}, or pack images you have with `lab data pack`"
        raise UserError(f"cannot download {url} ({reason}): {fix}") from None


def _reason(error: OSError | ValueError, host: str) -> str:
    if isinstance(error, ValueError):
        return "the downloaded file is damaged: its MD5 is not the published one"
    response = getattr(error, "response", None)
    if response is not None:
        return f"{host} answers {response.status_code}"
    return getattr(error, "strerror", None) or f"no connection to {host}, or it was interrupted"


def _mnist(folder: Path, is_test: bool) -> Arrays:
    split = "t10k" if is_test else "train"
    names = (f"{split}-images-idx3-ubyte.gz", f"{split}-labels-idx1-ubyte.gz")
    images, labels = (read_idx(gzip.decompress((folder / name).read_bytes())) for name in names)
    return np.pad(images, ((0, 0), (2, 2), (2, 2)))[:, None], labels.astype(np.int64)


def _cifar(folder: Path, is_test: bool) -> Arrays:
    prefix = "test_batch" if is_test else "data_batch"
    with tarfile.open(folder / "cifar-10-binary.tar.gz") as archive:
        names = sorted(name for name in archive.getnames() if Path(name).name.startswith(prefix))
        members = [archive.extractfile(name) for name in names]
        return read_cifar(b"".join(member.read() for member in members if member is not None))


_ON_BLACK = "published at 28 x 28, centred on black to 32 x 32"
SETS = {
    "mnist": PublicSet(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        _mnist,
        tuple("0123456789"),
        _ON_BLACK,
    ),
    "fashion_mnist": PublicSet(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        _mnist,
        ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
        _ON_BLACK,
    ),
    "cifar10": PublicSet(
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
        _cifar,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        "as published, 32 x 32",
    ),
}
