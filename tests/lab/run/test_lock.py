"""One process has the lock of a folder; the system releases the lock of a killed one."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pytest

from lab.errors import UserError
from lab.run.lock import LOCK_FILE, FolderLock, Held

HOLD = (
    "import sys, time; from pathlib import Path; from lab.run.lock import FolderLock\n"
    "lock = FolderLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)\n"
)


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_has_it_again_and_again(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        for _ in range(3):  # a try must not wipe the holder's name
            with pytest.raises(Held, match=str(process.pid) if sys.platform != "win32" else "another process"):
                FolderLock(tmp_path).acquire()
    FolderLock(tmp_path).acquire()


def test_a_second_lock_of_the_same_process_is_refused_and_a_released_one_is_free(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(Held, match=str(os.getpid()) if sys.platform != "win32" else ""):
        second.acquire()
    first.release()
    second.acquire()
    assert second.enforced and not first.enforced
    second.release(remove=True)
    assert not (tmp_path / LOCK_FILE).exists()


def test_a_longer_name_of_an_earlier_holder_does_not_remain(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(b"process 99999999999999999999 on a host with a very long name" * 3)
    lock = FolderLock(tmp_path)
    lock.acquire()
    if sys.platform != "win32":
        assert (tmp_path / LOCK_FILE).read_text(encoding="utf-8").startswith(f"process {os.getpid()} on ")
        assert "99999" not in (tmp_path / LOCK_FILE).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["folder", "link loop", "link", "fifo"])
def test_anything_but_a_file_is_refused_in_one_line_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / LOCK_FILE
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no FIFOs here")
        os.mkfifo(path)
    elif sys.platform == "win32":
        pytest.skip("links need a privilege")
    else:
        path.symlink_to(path if kind == "link loop" else tmp_path / "elsewhere")
    with pytest.raises(UserError, match="not a regular file"):
        FolderLock(tmp_path).acquire()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_counts_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(self: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert not lock.enforced
    lock.release()


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    with pytest.raises(UserError, match=r"cannot write .*make room"):
        FolderLock(tmp_path).acquire()
