"""The lock of a run's directory: one process at a time, on Linux, macOS and Windows."""

import errno
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from lab.errors import UserError
from lab.files import durable

LOCK_FILE = ".lock"
_WITHOUT_LOCKS = {
    getattr(errno, name, None) for name in ("ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK", "EINVAL", "EREMOTEIO")
}
_LONGEST_HOLDER = 200


class Held(Exception):
    """Another process has the lock; the text names it."""


@dataclass
class FolderLock:
    """The lock of a folder, in its file `.lock`, which also names the holder.

    The operating system releases the lock of a killed process, so no lock is ever stale.
    """

    folder: Path
    _lock: FileLock | None = field(default=None, repr=False)

    @property
    def enforced(self) -> bool:
        """Whether the file system keeps others from this lock: False also where it has no locks."""
        return self._lock is not None and self._lock.is_locked

    def acquire(self) -> None:
        """Take the lock, without waiting; again has no effect.

        A file system without locks counts as free: there a second process cannot be detected. Raises Held when another
        process has the lock, UserError when `.lock` is no regular file or cannot be written.
        """
        if self._lock is not None:
            return
        path = self.folder / LOCK_FILE
        _check_regular(path)
        # An existence lock instead of the system's would outlive a killed process.
        lock = FileLock(path, timeout=0, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            raise Held(_holder(path)) from None
        except NotImplementedError:
            pass
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise UserError(durable.explain(error, path)) from error
        # Windows lets no other handle write what is locked; the holder then has no name.
        with suppress(OSError):
            path.write_bytes(f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._lock = lock

    def release(self, *, remove: bool = False) -> None:
        """Release the lock, if held. remove: remove the file as well."""
        path = self.folder / LOCK_FILE
        if remove:
            # While the lock is held, so that no other process takes it in between. Windows refuses that.
            with suppress(PermissionError):
                path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if remove:
            path.unlink(missing_ok=True)


def _check_regular(path: Path) -> None:
    """Raise UserError for a folder, a link or a device in the place of the file: opening it may fail or wait."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UserError(f"{path} is not a regular file: remove it, it is only the mark of a running process")


def _holder(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_HOLDER).decode(errors="replace").strip() or "another process"
    except OSError:  # Windows locks the text as well
        return "another process"
