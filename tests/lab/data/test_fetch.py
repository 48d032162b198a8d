"""Fetching public sets, from a server on this machine that has small ones."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lab.cli.main import main
from lab.data import fetch as fetching
from lab.data.fetch import fetch, read_cifar, read_idx
from lab.data.images import open_images
from lab.errors import UserError


class Server:
    """Serves `files` by name; those in `broken_off` end in the middle. `asked` is what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken_off: set[str] = set()
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                outer.asked.append(name)
                content = outer.files.get(name)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write((content or b"")[: -10 if name in outer.broken_off else None])

            def log_message(self, format: str, *values: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._http.server_port}/"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Stands for all publishers: small sets under the real names, with their own hashes; an empty cache."""
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    running.files = mnist("train", 20) | mnist("t10k", 10) | {"cifar-10-binary.tar.gz": cifar()}
    for name, public in fetching.SETS.items():
        hashes = {file: hashlib.md5(running.files[file]).hexdigest() for file in public.files}
        monkeypatch.setitem(fetching.SETS, name, replace(public, base=running.base, files=hashes))
    yield running
    running.close()


def idx(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return gzip.compress(header + values.astype(np.uint8).tobytes())


def mnist(split: str, count: int) -> dict[str, bytes]:
    """Every picture is filled with its label plus 1."""
    labels = np.arange(count) % 10
    pixels = (labels + 1)[:, None, None] * np.ones((28, 28))
    return {f"{split}-images-idx3-ubyte.gz": idx(pixels), f"{split}-labels-idx1-ubyte.gz": idx(labels)}


def cifar() -> bytes:
    """Five training files of two pictures and one test file; a picture is filled with the number of its file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for number, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"], start=1):
            record = bytes([number]) + bytes([number]) * 3072
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = 2 * len(record)
            archive.addfile(member, io.BytesIO(2 * record))
    return stream.getvalue()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_training_and_test_pictures_are_stored_apart(server: Server, name: str) -> None:
    fetch(name)
    for source, count in ((name, 20), (f"{name}_test", 10)):
        found = open_images(source)
        assert found.labels is not None and found.labels.tolist() == [k % 10 for k in range(count)]
        assert found.images.shape == (count, 1, 32, 32) and found.num_classes == 10
        assert (found.images[:, 0, 2:30, 2:30] == found.labels[:, None, None] + 1).all()
        assert (found.images[:, :, :2] == 0).all() and "28 x 28" in found.rule


def test_cifar_has_five_files_of_training_pictures_and_one_of_test_pictures(server: Server) -> None:
    fetch("cifar10")
    train, test = open_images("cifar10"), open_images("cifar10_test")
    assert train.labels is not None and train.labels.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert test.labels is not None and test.labels.tolist() == [6, 6]
    assert train.images.shape == (10, 3, 32, 32) and (test.images == 6).all()
    assert train.classes == test.classes and train.classes[6] == "frog"


@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_the_preset_trains_on_the_training_pictures_and_is_graded_on_the_test_pictures(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch("mnist")
    settings = ["budget=40", "training.batch_size=20", "training.images_per_iteration=20", "tracking.wandb=off"]
    assert main(["train", "supervised/mnist", "--name", "run", "device=cpu", *settings]) == 0
    capsys.readouterr()
    assert main(["eval", "run", "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 10


def test_the_second_time_needs_no_network(server: Server) -> None:
    fetch("mnist")
    asked = len(server.asked)
    server.close()
    fetch("mnist")
    assert len(server.asked) == asked


def test_packing_again_needs_no_network_either(server: Server, tmp_path: Path) -> None:
    fetch("mnist")
    server.close()
    (tmp_path / "mnist.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="`lab data fetch mnist --overwrite`"):
        open_images("mnist")
    fetch("mnist", overwrite=True)
    assert len(open_images("mnist")) == 20


def test_the_name_of_the_test_pictures_fetches_both(server: Server) -> None:
    fetch("mnist_test")
    assert len(open_images("mnist")) == 20 and len(open_images("mnist_test")) == 10


def test_what_is_missing_is_added_to_what_is_there(server: Server, tmp_path: Path) -> None:
    fetch("mnist")
    before = (tmp_path / "mnist.safetensors").stat()
    (tmp_path / "mnist_test.safetensors").unlink()
    fetch("mnist")
    assert len(open_images("mnist_test")) == 10
    assert (tmp_path / "mnist.safetensors").stat().st_ino == before.st_ino


def test_progress_counts_the_bytes_of_every_file(server: Server) -> None:
    steps: dict[str, tuple[int, int]] = {}
    fetch("mnist", progress=lambda file, done, total: steps.update({file: (done, total)}))
    sizes = {name: len(content) for name, content in server.files.items() if name.endswith("ubyte.gz")}
    assert steps == {name: (size, size) for name, size in sizes.items()}


def fails(server: Server, name: str = "cifar10") -> str:
    """What fetching says in one line."""
    with pytest.raises(UserError) as error:
        fetch(name)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_wrong_hash_is_one_clear_error_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    server.files["cifar-10-binary.tar.gz"] += b"!"
    assert "its MD5 is not the published one" in fails(server)
    assert files_in(tmp_path) == []


def test_a_download_that_breaks_off_is_one_clear_error_and_is_made_up_for(server: Server, tmp_path: Path) -> None:
    server.broken_off = {"t10k-images-idx3-ubyte.gz"}
    assert "interrupted" in fails(server, "mnist")
    assert files_in(tmp_path) == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    server.broken_off = set()
    fetch("mnist")
    assert server.asked.count("train-images-idx3-ubyte.gz") == 1
    assert len(open_images("mnist_test")) == 10


def test_a_file_that_is_gone_is_one_clear_error(server: Server, tmp_path: Path) -> None:
    del server.files["cifar-10-binary.tar.gz"]
    assert "answers 404" in fails(server)
    assert files_in(tmp_path) == []


def test_no_network_is_one_clear_error(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    server.close()
    assert main(["data", "fetch", "cifar10"]) == 2
    output = capfd.readouterr()
    assert output.out == "" and len(output.err.splitlines()) == 1
    assert f"{server.base}cifar-10-binary.tar.gz (no connection to 127.0.0.1" in output.err
    assert files_in(tmp_path) == []


def test_a_file_put_into_the_cache_by_hand_needs_no_network(server: Server, tmp_path: Path) -> None:
    server.close()
    folder = tmp_path / "downloads" / "cifar10"
    assert str(folder) in fails(server)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cifar-10-binary.tar.gz").write_bytes(server.files["cifar-10-binary.tar.gz"])
    fetch("cifar10")
    assert len(open_images("cifar10")) == 10


def test_the_command_says_where_both_sets_are(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "fetch", "cifar10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{name} in {tmp_path / name}.safetensors" for name in ("cifar10", "cifar10_test")]


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        fetch("mnits")


def test_the_published_hashes_cover_every_file_that_is_read() -> None:
    for name in ("mnist", "fashion_mnist"):
        assert set(fetching.SETS[name].files) == set(mnist("train", 1) | mnist("t10k", 1))


def test_idx_and_cifar_bytes() -> None:
    data = b"\0\0\x08\x02" + (2).to_bytes(4, "big") + (3).to_bytes(4, "big") + bytes(range(6))
    assert read_idx(data).tolist() == [[0, 1, 2], [3, 4, 5]]
    images, labels = read_cifar(bytes([7]) + bytes(range(256)) * 12)
    assert images.shape == (1, 3, 32, 32) and labels.tolist() == [7]
    assert images[0, 1, 0, :3].tolist() == [0, 1, 2] and images[0, 0, 1, 0] == 32
