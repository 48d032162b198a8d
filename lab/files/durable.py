"""Writing that lasts, and what to tell somebody whose disk cannot be written to."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.errors import UserError


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of room: on the disk, in the quota, or under a limit on file size."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain(error: OSError, path: Path, then: str = "`lab resume`") -> str:
    """One line on a write to `path` that failed: the reason; where that is room, how much is free and what to do."""
    if not is_full(error):
        return f"cannot write {path}: {error.strerror or error}"
    existing = next(parent for parent in [path, *path.parents] if parent.exists())
    free_mib = shutil.disk_usage(existing).free / 2**20
    return f"cannot write {path}: {error.strerror} ({free_mib:.0f} MiB free): make room, then {then}"


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file in one step and return once it is on the disk; an OSError leaves nothing half-written."""
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
    """A name beside `path`, of the same suffix, to write to: it takes the place of `path` at the end, or goes away.

    Folders on the way are made. Raises UserError where the disk refuses.
    """
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix.lower()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(explain(error, path, "do the same again")) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def sync_directory(path: Path) -> None:
    """Return once the names in a directory are on the disk; until then a crash can undo a rename."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
