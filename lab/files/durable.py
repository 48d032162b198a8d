"""Durable, atomic writes, removals, and messages for failed writes."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.errors import UserError


def is_full(error: OSError) -> bool:
    """Whether a write failed because the disk, the quota or the maximum file size is exhausted."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain(error: OSError, path: Path, then: str = "`lab resume`") -> str:
    """One line about a failed write to `path`: the reason; if space is exhausted, what to do before `then`.

    A full disk or quota is said with the free space, a file at its maximum size with the limit: room would not help.
    """
    if error.errno == errno.EFBIG:
        return f"cannot write {path}: the limit of the file size (ulimit -f) is reached: raise it, then {then}"
    if not is_full(error):
        return f"cannot write {path}: {error.strerror or error}"
    existing = next(parent for parent in [path, *path.parents] if parent.exists())
    free_mib = shutil.disk_usage(existing).free / 2**20
    return f"cannot write {path}: {error.strerror} ({free_mib:.0f} MiB free): make room, then {then}"


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file in one step and return once it is on the disk; after an OSError the old file is unchanged."""
    beside = path.with_name(path.name + ".tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_directory(path.parent)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix: it replaces `path` on success and is removed after an error.

    Missing folders are created. Raises UserError if the disk cannot be written.
    """
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix.lower()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(explain(error, path, "try again")) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove(path: Path) -> None:
    """Remove a folder with its files, a file or a link, whose target stays; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Flush a directory to the disk: before that a crash can undo a rename."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows does not open directories
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
