"""Whatever goes wrong while packing: one clear error, no partial file, nothing left beside it, no process behind."""

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.cli.main import main
from lab.data import decoding
from lab.data.images import open_images
from lab.data.pack import pack
from lab.errors import UserError
from tests.command_line import ROOT, wait_until
from tests.lab.pictures import encoded, grey, write_folder, write_zip


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def with_broken(tmp_path: Path) -> Path:
    """A zip of 1,200 pictures of 50 times their label; a JPEG in the middle is cut off."""
    files = {f"{index:04d}.png": grey(50 * (index % 4)) for index in range(1200)}
    jpeg = encoded(Image.effect_noise((64, 64), 50), "JPEG")
    files["0601.png"] = jpeg[: len(jpeg) // 2]
    return write_zip(tmp_path / "in.zip", files, {name: int(name[:4]) % 4 for name in files})


def test_a_picture_cut_off_in_the_middle_of_a_set_is_refused_by_name(with_broken: Path) -> None:
    with pytest.raises(UserError, match=r"1 of 1200 images.*: 0601\.png: .*truncated"):
        pack(with_broken, with_broken.with_name("out.safetensors"), workers=2)
    assert left_in(with_broken.parent) == ["in.zip"]


def test_a_skipped_picture_takes_its_label_along(with_broken: Path) -> None:
    out = with_broken.with_name("out.safetensors")
    found = pack(with_broken, out, workers=2, skip_broken=True)
    assert found.count == 1199 and len(found.broken) == 1 and found.broken[0].startswith("0601.png: ")
    images = open_images(str(out))
    assert images.labels is not None and (images.images[:, 0] == 50 * images.labels[:, None, None]).all()


def test_the_command_refuses_or_skips_broken_pictures_as_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_folder(tmp_path / "in", {"a.png": grey(1), "b.png": b"no picture"})
    out = tmp_path / "out.safetensors"
    command = ["data", "pack", str(source), str(out)]
    assert main(command) == 2
    assert "b.png: unknown image format" in capsys.readouterr().err
    assert left_in(tmp_path) == ["in"]
    assert main([*command, "--broken", "skip"]) == 0
    assert "skipped b.png: unknown image format" in capsys.readouterr().out
    assert len(open_images(str(out))) == 1


def test_a_set_of_broken_pictures_alone_is_refused(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {"a.png": b"", "b.png": b"no picture"})
    with pytest.raises(UserError, match="none of its 2 images can be read"):
        pack(source, tmp_path / "out.safetensors", skip_broken=True)


def test_a_killed_process_is_one_clear_error(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "in.zip", {f"{index:04d}.png": grey(1) for index in range(1200)})

    def kill(done: int, total: int) -> None:
        if done == total // 2 + 1:  # the first picture is about to be written
            for child in multiprocessing.active_children():
                child.kill()

    with pytest.raises(UserError, match="a decoding process was killed"):
        pack(source, tmp_path / "out.safetensors", workers=2, progress=kill)
    assert left_in(tmp_path) == ["in.zip"]
    assert not multiprocessing.active_children()


def test_an_image_that_needs_more_memory_than_there_is_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(content: bytes, name: str) -> None:
        raise MemoryError

    monkeypatch.setattr(decoding, "open_image_file", exhausted)
    with pytest.raises(UserError, match="more memory to decode than there is"):
        pack(write_folder(tmp_path / "in", {"a.png": grey(1)}), tmp_path / "out.safetensors", skip_broken=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_signal_leaves_no_process_and_no_partial_file(tmp_path: Path, number: signal.Signals, code: int) -> None:
    source = write_folder(tmp_path / "in", {f"{index:04d}.png": grey(1) for index in range(1000)})
    # Noise decodes slowly: these images keep the processes busy for about a second, twice.
    slow = source / "z00.png"
    slow.write_bytes(encoded(np.random.default_rng(0).integers(0, 256, (2000, 2000), dtype=np.uint8)))
    for index in range(1, 25):
        os.link(slow, source / f"z{index:02d}.png")
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "data", "pack", source, tmp_path / "out.safetensors", "--workers", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: any(name.startswith(".out.safetensors") for name in left_in(tmp_path)), process)
    # A terminal sends Ctrl-C to the whole group; the worst that SIGKILL can do is to end the parent alone.
    process.kill() if number == signal.SIGKILL else os.killpg(process.pid, number)
    output = "".join(process.communicate(timeout=30))
    assert process.returncode == code and "Traceback" not in output, output
    assert_no_process(process.pid)
    if number != signal.SIGKILL:
        assert left_in(tmp_path) == ["in"]
        assert output.rstrip().endswith(f"lab: stopped by {number.name}")


def assert_no_process(group: int) -> None:
    """The group is empty; Python's own helper takes a moment to notice that it is alone."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    raise AssertionError("a process was left behind")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writes beyond `size` fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("save", [np.save, np.savez_compressed])
def test_a_disk_that_fills_up_is_one_clear_error(tmp_path: Path, save: object) -> None:
    source = tmp_path / ("in.npy" if save is np.save else "in.npz")
    pixels = np.zeros((400, 32, 32), np.uint8)
    np.save(source, pixels) if save is np.save else np.savez_compressed(source, images=pixels)
    with largest_file(200_000), pytest.raises(UserError, match=r"file size \(ulimit -f\) .*, then try again") as error:
        pack(source, tmp_path / "out.safetensors")
    assert "\n" not in str(error.value) and "lab resume" not in str(error.value)
    assert left_in(tmp_path) == [source.name]


def test_a_disk_without_room_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "in.npy", np.zeros((400, 32, 32), np.uint8))
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with largest_file(0), pytest.raises(UserError, match="needs 0 MiB and 0 MiB are free: make room"):
        pack(tmp_path / "in.npy", tmp_path / "out.safetensors")


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", {"a.png": grey(1)})
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot write .*out\.safetensors"):
        pack(source, tmp_path / "file" / "out.safetensors")
