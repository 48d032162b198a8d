"""The working directory that is uploaded with a job, without runs, data, environments and secrets."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError

LIMIT_BYTES = 100 * 2**20
"""Ray's limit of one request to the job server (DASHBOARD_CLIENT_MAX_SIZE)."""

EXCLUDES = (
    "/runs", "wandb", "/data",
    ".git", ".venv*", "venv", "__pycache__", "*.py[cod]", "*.egg-info", ".mypy_cache", ".pytest_cache", ".ruff_cache",
    "/build", "/dist",
    ".env", ".env.*", ".netrc", "*.pem", "*.key", "auth_token",
)  # fmt: skip
"""Patterns in .gitignore syntax that are not uploaded, besides those of .gitignore and .rayignore."""

_LARGEST_SHOWN = 5


@dataclass(frozen=True)
class WorkingDir:
    """A directory and the files that are uploaded: their size in bytes by their relative path."""

    path: Path
    files: dict[str, int]

    @property
    def size(self) -> int:
        """Total bytes; Ray does not compress them."""
        return sum(self.files.values())

    def __str__(self) -> str:
        return f"{len(self.files)} files, {_mb(self.size)}"

    def largest(self) -> str:
        """The largest top-level folders and files, with their sizes."""
        sizes: Counter[str] = Counter()
        for name, size in self.files.items():
            top, slash, _ = name.partition("/")
            sizes[top + slash] += size
        return ", ".join(f"{name} {_mb(size)}" for name, size in sizes.most_common(_LARGEST_SHOWN))

    def check(self) -> None:
        """Raise UserError, naming the largest entries, when the upload exceeds Ray's limit."""
        if self.size >= LIMIT_BYTES:
            raise UserError(
                f"{self.path} has {self} to upload, and Ray's limit is {_mb(LIMIT_BYTES)}; the largest entries are "
                f"{self.largest()}: list what the run does not need in .rayignore"
            )


def scan(path: Path) -> WorkingDir:
    """The files that Ray would upload of a directory with `EXCLUDES`. Raises UserError when it does not exist."""
    # Ray's own functions, so that ignore rules are read in the same way.
    from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

    root = path.resolve()
    if not root.is_dir():
        raise UserError(f"no directory {str(path)!r}: --working-dir names the directory that is uploaded with the job")
    files: dict[str, int] = {}

    def visit(path: Path) -> None:
        if path.is_file():
            files[str(path.relative_to(root))] = path.stat().st_size

    quiet = logging.getLogger(__name__)
    quiet.setLevel(logging.ERROR)
    _dir_travel(root, [_get_excludes(root, list(EXCLUDES))], visit, include_gitignore=True, logger=quiet)
    return WorkingDir(root, files)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
