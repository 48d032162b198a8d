"""What is sent with a job: the working directory without runs, data, environments and secrets."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError

LIMIT_BYTES = 100 * 2**20
"""What Ray's job server takes in one request (DASHBOARD_CLIENT_MAX_SIZE); it answers a larger one with an error."""

EXCLUDES = (
    "/runs", "wandb", "/data",
    ".git", ".venv*", "venv", "__pycache__", "*.py[cod]", "*.egg-info", ".mypy_cache", ".pytest_cache", ".ruff_cache",
    "/build", "/dist",
    ".env", ".env.*", ".netrc", "*.pem", "*.key", "auth_token",
)  # fmt: skip
"""Patterns of .gitignore that are left out, besides those of the directory's own .gitignore and .rayignore."""

_LARGEST = 5


@dataclass(frozen=True)
class Package:
    """What would be sent: bytes of each file by its path in the working directory."""

    working_dir: Path
    files: dict[str, int]

    @property
    def size(self) -> int:
        """Bytes in all; Ray's archives are not compressed."""
        return sum(self.files.values())

    def __str__(self) -> str:
        return f"{len(self.files)} files, {_mb(self.size)}"

    def largest(self) -> str:
        """The folders and files of the top level that hold most, largest first."""
        sizes: Counter[str] = Counter()
        for name, size in self.files.items():
            top, slash, _ = name.partition("/")
            sizes[top + slash] += size
        return ", ".join(f"{name} {_mb(size)}" for name, size in sizes.most_common(_LARGEST))

    def check(self) -> None:
        """Raise UserError, naming what fills it, for a package that a cluster does not take."""
        if self.size >= LIMIT_BYTES:
            raise UserError(
                f"{self.working_dir} has {self} to send, more than the {_mb(LIMIT_BYTES)} a cluster takes; most is in "
                f"{self.largest()}: list in .rayignore what the run does not need"
            )


def measure(working_dir: Path) -> Package:
    """What Ray would send of a directory under `EXCLUDES`; writes nothing. Raises UserError where there is none."""
    # Ray's own walk: an ignore rule read in another way would measure something other than what is sent.
    from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

    root = working_dir.resolve()
    if not root.is_dir():
        raise UserError(f"no directory {str(working_dir)!r}: --working-dir names what is sent with the job")
    files: dict[str, int] = {}

    def visit(path: Path) -> None:
        if path.is_file():
            files[str(path.relative_to(root))] = path.stat().st_size

    quiet = logging.getLogger(__name__)
    quiet.setLevel(logging.ERROR)
    _dir_travel(root, [_get_excludes(root, list(EXCLUDES))], visit, include_gitignore=True, logger=quiet)
    return Package(root, files)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
