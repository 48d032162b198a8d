"""The files of a directory that are uploaded with a job.

In a git checkout these are the files that git tracks, as they are in the working tree; elsewhere the files whose suffix
is that of source text. Left out of both: what .rayignore names, files with the name of a secret, and links.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile, ZipInfo

from cluster.jobs.secret_names import is_secret
from lab.errors import UserError
from lab.files.plain import read_regular

LIMIT_BYTES = 100 * 2**20
"""Ray's limit of one request to the job server (DASHBOARD_CLIENT_MAX_SIZE)."""

SUFFIXES = (
    ".py", ".pyi", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".txt", ".csv", ".tsv", ".md", ".rst", ".sh", ".typed",
)  # fmt: skip
"""Suffixes of the files that are uploaded from a directory that is not a git checkout."""

_FOLDERS = ("runs", "wandb", "data", "build", "dist")  # of the top level: outputs and data sets
_ANY_FOLDERS = ("wandb", "venv", "__pycache__", "node_modules", "site-packages")
_IGNORE_FILES = (".gitignore", ".rayignore")
_MOST_ENTRIES = 50_000
_LARGEST_SHOWN, _NAMES_SHOWN = 5, 5
_GIT_TIMEOUT_S = 60


@dataclass(frozen=True)
class WorkingDir:
    """A directory and the files that are uploaded: their size in bytes by their relative path.

    chosen: how they were chosen. left_out: names of others, by the reason.
    """

    path: Path
    files: dict[str, int]
    chosen: str
    left_out: dict[str, list[str]]

    @property
    def size(self) -> int:
        """Total bytes; they are not compressed."""
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

    def notes(self) -> list[str]:
        """What is uploaded and what is not, for the user."""
        found = [f"upload: {self} of {self.path}, {self.chosen}; the largest: {self.largest() or 'none'}"]
        for reason, names in self.left_out.items():
            shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
            found.append(f"not uploaded, {reason}: {len(names)} ({shown})")
        return found

    def check(self) -> None:
        """Raise UserError, naming the largest entries, when the upload exceeds Ray's limit."""
        if self.size >= LIMIT_BYTES:
            raise UserError(
                f"{self.path} has {self} to upload, and Ray's limit is {_mb(LIMIT_BYTES)}; the largest entries are "
                f"{self.largest()}: list what the run does not need in .rayignore"
            )

    def including(self, paths: Iterable[Path]) -> WorkingDir:
        """With these files as well, which the user has named. Raises UserError for those that must not be uploaded."""
        files = dict(self.files)
        for path in paths:
            parent = path.parent.resolve()
            name = (parent / path.name).relative_to(self.path).as_posix() if parent.is_relative_to(self.path) else ""
            reason = _refused(self.path, name) if name else "it is outside the working directory"
            if reason:
                raise UserError(
                    f"{path} is not uploaded with the job ({reason}): move it to {self.path}, under a plain name"
                )
            files.setdefault(name, path.stat().st_size)
        others = {reason: [name for name in names if name not in files] for reason, names in self.left_out.items()}
        return replace(self, files=files, left_out={reason: names for reason, names in others.items() if names})

    def pack(self, archive: Path) -> None:
        """Write the files to a ZIP archive. Equal files give equal archives. Raises UserError."""
        with ZipFile(archive, "w") as packed:
            for name in sorted(self.files):
                path = self.path / name
                try:
                    # Looked at again: a file may have become a link since the scan.
                    if reason := _refused(self.path, name):
                        raise OSError(reason)
                    data, mode = read_regular(path), path.stat().st_mode
                except OSError as error:
                    raise UserError(f"cannot upload {path}: {error.strerror or error}") from None
                entry = ZipInfo(name)
                entry.external_attr = stat.S_IMODE(mode) << 16
                packed.writestr(entry, data)


def scan(path: Path) -> WorkingDir:
    """The files of a directory that are uploaded. Raises UserError for one that does not exist or is too large."""
    root = path.resolve()
    if not root.is_dir():
        raise UserError(f"no directory {str(path)!r}: --working-dir names the directory that is uploaded with the job")
    home = Path(os.path.expanduser("~"))  # stays "~" for a user without one
    if home.is_absolute() and home.resolve().is_relative_to(root):
        raise UserError(f"{root} holds your home directory, which is not uploaded; give --working-dir FOLDER")
    tracked = _git(root, "--cached", "--recurse-submodules")
    left: dict[str, list[str]] = {}
    if tracked:
        names, chosen = tracked, "what git tracks"
        untracked = [name for name in _git(root, "--others", "--exclude-standard") if not is_secret(name)]
        if untracked:
            left["as git does not track it (`git add`)"] = untracked
    else:
        others: list[str] = []
        names, chosen = list(_walk(root, others)), "source files (not a git checkout)"
        if others:
            left[f"without a suffix of source files ({' '.join(SUFFIXES)})"] = others
    files: dict[str, int] = {}
    ignored = _Ignored(root, _IGNORE_FILES[1:] if tracked else _IGNORE_FILES)
    for name in names:
        if not os.path.lexists(root / name) or ignored(name):  # deleted in the working tree, and not yet in git
            continue
        if reason := _refused(root, name):
            left.setdefault(reason, []).append(name)
        else:
            files[name] = (root / name).stat().st_size
    return WorkingDir(root, files, chosen, left)


def _refused(root: Path, name: str) -> str:
    """Why a file of the directory must not be uploaded; "" if it may."""
    if is_secret(name):
        return "as it has the name of a secret"
    if "\\" in name or not name.isprintable():  # also the mark of bytes that are not UTF-8
        return "as its name has characters that an archive cannot hold"
    path = root / name
    if os.path.realpath(path) != str(path):
        return "as it is a link, or behind one"
    if not path.is_file():
        return "as it is not a regular file"
    return ""


def _git(root: Path, *options: str) -> list[str]:
    """Relative paths that `git ls-files` lists; none where the directory is not in a checkout, or without git."""
    if shutil.which("git") is None:
        return []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # A file system monitor is a program that the checkout's configuration names.
    command = ["git", "-C", str(root), "-c", "core.fsmonitor=false", "ls-files", "-z", *options]
    try:
        answer = subprocess.run(command, env=environment, capture_output=True, timeout=_GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if answer.returncode != 0:
        return []
    return sorted({os.fsdecode(name) for name in answer.stdout.split(b"\0") if name})


def _walk(root: Path, others: list[str]) -> Iterator[str]:
    """Relative paths of the source files below a directory; `others` gets those of another suffix."""
    entries = 0
    for folder, folders, files in os.walk(root):
        entries += len(folders) + len(files)
        if entries > _MOST_ENTRIES:
            raise UserError(
                f"{root} has more than {_MOST_ENTRIES:,} files: give --working-dir FOLDER, the project's folder alone"
            )
        at_top = folder == str(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _ANY_FOLDERS
            and not name.endswith(".egg-info")
            and not (at_top and name in _FOLDERS)
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            relative = PurePosixPath(os.path.relpath(os.path.join(folder, name), root)).as_posix()
            if name in _IGNORE_FILES or name.endswith(SUFFIXES) or is_secret(relative):
                yield relative
            elif not name.startswith("."):
                others.append(relative)


class _Ignored:
    """Whether a relative path matches the ignore files of its folders."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        self._root, self._names = root, tuple(names)
        self._matchers: dict[PurePosixPath, list[Callable[[str], bool]]] = {}

    def __call__(self, name: str) -> bool:
        path = PurePosixPath(name)
        return any(match(path.relative_to(folder).as_posix()) for folder in path.parents for match in self._of(folder))

    def _of(self, folder: PurePosixPath) -> list[Callable[[str], bool]]:
        if folder not in self._matchers:
            files = [self._root / folder / name for name in self._names]
            self._matchers[folder] = [_patterns(file) for file in files if file.is_file()]
        return self._matchers[folder]


def _patterns(file: Path) -> Callable[[str], bool]:
    # Ray's copy of the package: Ray reads .rayignore with it.
    from ray._private.thirdparty.pathspec import PathSpec

    try:
        spec: Any = PathSpec.from_lines("gitwildmatch", read_regular(file).decode().splitlines())
    except Exception as error:  # of a malformed pattern also an IndexError
        raise UserError(f"cannot read the patterns of {file}: {error}") from None
    return lambda name: bool(spec.match_file(name))


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
