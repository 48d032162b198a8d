"""A run's directory: name, layout, lock, and the number of the next run.

runs/<name>/config.yaml  metrics.jsonl  log.txt  checkpoints/  samples/  games/  wandb/  debug/
"""

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from lab.config import yaml_values
from lab.config.suggestions import did_you_mean, shortened
from lab.errors import CheckpointError, UserError
from lab.files import durable
from lab.files.durable import remove
from lab.files.plain import check_own_file, read_regular
from lab.run import checkpoint
from lab.run.best_value import stop_reason
from lab.run.lock import LOCK_FILE, FolderLock, Held
from lab.run.lookup import REPLACED, is_replacing
from lab.run.origin import RECORD, Origin, mark_saved, new_record, origin_of, read_record

CONFIG = "config.yaml"
_DISCARDED = ".discarded"  # what was in it afterwards, until it is deleted
_FOLDERS = ("checkpoints", "samples", "games", "wandb")
_LONGEST_NAME = 200  # characters
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*")


def check_name(name: str) -> str:
    """Return `name` if it can name a run; raises UserError for separators, `..`, a leading dot, too many characters."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise UserError(
            f"{shortened(name)} cannot name a run: use the letters A to Z, digits, '_', '-', '+', '=' and '.', "
            "a letter, a digit or '_' first, no '..'"
        )
    if len(name) > _LONGEST_NAME:
        raise UserError(f"{shortened(name)} cannot name a run: it has {len(name)} characters, at most {_LONGEST_NAME}")
    return name


@dataclass
class RunDir:
    """The directory of one run. As a context manager it releases the lock and removes a run that never started."""

    path: Path
    _lock: FolderLock | None = field(default=None, repr=False)
    _created: bool = field(default=False, repr=False)

    @classmethod
    def create(cls, root: Path, name: str, config_yaml_text: str, overwrite: bool = False) -> Self:
        """Create `root/name` and lock it; raises UserError when the name is taken.

        With `overwrite` the old run is moved to a folder inside the directory and removed by `started()`. If the new
        run fails before it starts, the old run is restored; after a kill the next use of the directory restores it.
        """
        path = Path(root) / check_name(name)
        restore_replaced(path)
        taken = os.path.lexists(path) and not _is_empty(path)
        if taken and not overwrite:
            raise UserError(f"run '{name}' exists in {root}: --resume continues it, --overwrite replaces it")
        if taken and (path.is_symlink() or not (path / CONFIG).exists()):
            raise UserError(f"{path} is not a run (it has no {CONFIG}): --overwrite will not remove it")
        run, is_new = cls(path), not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
            run.lock()
            if taken:
                run._move_old_run()
            run._created = True  # from here on `close` removes it
            for folder in _FOLDERS:
                (path / folder).mkdir(exist_ok=True)
            new_record(path)
            run.write_config(config_yaml_text)
        except BaseException as error:
            run.close()
            if is_new:
                with contextlib.suppress(OSError):
                    path.rmdir()
            if isinstance(error, OSError):
                raise UserError(durable.explain(error, path, "try again")) from error
            raise
        return run

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing run, not locked. Raises UserError that names the nearest run, or as `restore_replaced`."""
        path = Path(path)
        restore_replaced(path)
        if not (path / CONFIG).is_file():
            raise UserError(f"no run at {path}: {_known(path)}")
        return cls(path)

    @staticmethod
    def next_numbered(root: Path, stem: str) -> str:
        """The next free name `stem-001`, `stem-002`, ..."""
        check_name(stem)
        return f"{stem}-{max(_numbers(root, stem), default=0) + 1:03d}"

    @classmethod
    def latest_unfinished(cls, root: Path, stem: str) -> Self | None:
        """The run of the highest number named after `stem`, if it has not reached its budget."""
        for number in sorted(_numbers(root, stem), reverse=True):
            path = Path(root) / f"{stem}-{number:03d}"
            restore_replaced(path)
            if (path / CONFIG).is_file():
                run = cls(path)
                return None if run.finished else run
        return None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.resolve().name

    @property
    def config_path(self) -> Path:
        """The resolved configuration, as YAML."""
        return self.path / CONFIG

    @property
    def checkpoints(self) -> Path:
        """The directory of checkpoints."""
        return self.path / "checkpoints"

    @property
    def origin(self) -> Origin:
        """What the run's checkpoints must name: its id and its settings."""
        return origin_of(self.path)

    @property
    def has_checkpoints(self) -> bool:
        """Whether the run has ever written a checkpoint, also where none is left."""
        record = read_record(self.path)
        return record is not None and record.has_checkpoints

    def mark_saved(self) -> None:
        """Record that the run has written a checkpoint. Raises UserError."""
        record = read_record(self.path)
        if record is not None:
            mark_saved(self.path, record.id)

    def identify(self, report: Callable[[str], None]) -> None:
        """Restore a missing or damaged record of the run from its checkpoints; `report` gets a line.

        Raises UserError where the checkpoints are of several runs, damaged or gone.
        """
        if read_record(self.path) is not None:
            return
        ids = checkpoint.run_ids(self.checkpoints)
        if len(ids) > 1:
            raise UserError(f"{self.path}: {RECORD} is missing or damaged, and its checkpoints are of several runs")
        if not ids:  # a run that never had a checkpoint has its record
            left = checkpoint.numbered(self.checkpoints)
            raise (checkpoint.none_valid if left else checkpoint.none_left)(self.checkpoints)
        mark_saved(self.path, ids.pop())
        report(f"{RECORD} was missing or damaged: written again")

    @property
    def metrics_path(self) -> Path:
        """The record of metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def log_path(self) -> Path:
        """The lines printed on the terminal, with times."""
        return self.path / "log.txt"

    @property
    def finished(self) -> bool:
        """Whether the newest readable checkpoint has reached the budget of config.yaml, or was stopped early."""
        manifest = self._newest()
        return manifest is not None and self.is_finished(manifest)

    def is_finished(self, manifest: checkpoint.Manifest) -> bool:
        """Whether a checkpoint has reached the budget of config.yaml, or was stopped early, and was evaluated."""
        evaluated = not manifest.meta.get("evaluation_due", False)
        return bool(self._why_stopped(manifest)) or (self._has_reached_budget(manifest) and evaluated)

    @property
    def stopped_early(self) -> str:
        """Why the run stopped before its budget, under the present patience of config.yaml; "" if it did not."""
        manifest = self._newest()
        return "" if manifest is None else self._why_stopped(manifest)

    def _why_stopped(self, manifest: checkpoint.Manifest) -> str:
        if self._has_reached_budget(manifest):
            return ""
        patience, count = self._setting("evaluate", "patience"), int(manifest.meta.get("no_better", 0))
        if patience is None or count < patience:
            return ""
        return stop_reason(self.read_config()["evaluate"].get("best"), count)

    def _has_reached_budget(self, manifest: checkpoint.Manifest) -> bool:
        progress = manifest.counters.get(manifest.meta.get("progress", ""), -1)
        return progress >= (self._setting("budget") or 0)

    def _setting(self, *keys: str) -> int | None:
        """A whole number of config.yaml, if there is one; raises UserError for anything else."""
        value: Any = self.read_config()
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, int):
            raise UserError(f"{self.config_path}: {'.'.join(keys)} should be a whole number, not {value!r}")
        return value

    def _newest(self) -> checkpoint.Manifest | None:
        """The manifest of the newest checkpoint of this run that can be read."""
        origin = self.origin
        for path in checkpoint.numbered(self.checkpoints):
            with contextlib.suppress(CheckpointError):
                return checkpoint.read_manifest(path, origin)
        return None

    def read_config(self) -> dict[str, Any]:
        """config.yaml as plain values; raises UserError when it is no YAML mapping."""
        try:
            content = yaml_values.parse(read_regular(self.config_path).decode())
        except (OSError, ValueError) as error:
            raise UserError(f"{self.config_path} cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise UserError(f"{self.config_path} is damaged: it holds no mapping of settings")
        return content

    def write_config(self, text: str) -> None:
        """Replace config.yaml in one step."""
        try:
            durable.write_durably(self.config_path, text.encode())
        except OSError as error:
            raise UserError(durable.explain(error, self.config_path)) from error

    def check_layout(self) -> None:
        """Raise UserError unless the files and folders of the run are files and folders.

        A link in the place of a file would have the run write elsewhere; folders may be links to another disk.
        """
        for file in (self.config_path, self.path / RECORD, self.metrics_path, self.log_path):
            check_own_file(file)
        for folder in (self.path / name for name in (*_FOLDERS, "replay", "debug")):
            if folder.is_symlink() and not folder.is_dir():
                target = os.readlink(folder)
                raise UserError(f"{folder} is a link to {target}, where there is no folder (is the disk mounted?)")
            if folder.exists() and not folder.is_dir():
                raise UserError(f"{folder} is a file where a run has a folder: move it away")

    def lock(self) -> None:
        """Hold the run until `close()` or the end of the process; raises UserError when another has it.

        The kernel releases the lock of a killed process, so no lock is ever stale.
        """
        if self._lock is None:
            taken = FolderLock(self.path)
            try:
                taken.acquire()
            except Held as holder:
                message = f"run '{self.name}' is being trained by {holder}: wait for it or stop it"
                raise UserError(message) from None
            self._lock = taken

    @property
    def is_locked(self) -> bool:
        """Whether this object keeps other processes from the run: False also where the file system has no locks."""
        return self._lock is not None and self._lock.enforced

    def started(self) -> None:
        """Mark the run as started: `close` no longer removes it, and the run that it replaces is deleted."""
        self._created = False
        # Renamed first: while there is a `.replaced`, the run that it holds is restored.
        replaced, discarded = self.path / REPLACED, self.path / _DISCARDED
        if is_replacing(self.path):
            remove(discarded)
            replaced.rename(discarded)
        remove(discarded)

    def close(self) -> None:
        """Release the lock; a run that was created and never started is removed first."""
        if self._created:
            self._undo()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _move_old_run(self) -> None:
        replaced = self.path / REPLACED
        if not is_replacing(self.path):
            remove(replaced)  # a file or a link; a folder, which could not be restored, stays
        entries = [entry for entry in self.path.iterdir() if entry.name != LOCK_FILE]
        replaced.mkdir()
        try:
            # config.yaml last: once it is there, all of the old run is, and what is outside is the new run.
            for entry in sorted(entries, key=lambda entry: entry.name == CONFIG):
                entry.rename(replaced / entry.name)
        except OSError:
            _restore_old_run(self.path)
            raise

    def _undo(self) -> None:
        self._created = False
        if is_replacing(self.path):
            _restore_old_run(self.path)
            return
        _remove_contents(self.path)
        with contextlib.suppress(OSError):
            if self._lock is not None:
                self._lock.release(remove=True)
                self._lock = None
            self.path.rmdir()


def restore_replaced(path: Path) -> None:
    """Restore the run in `path` whose replacement by --overwrite was killed before the new run had started.

    Nothing happens while a process holds the run, such as the one that replaces it. Raises UserError on a file system
    without locks, where that process may be alive.
    """
    if not is_replacing(path):
        return
    with RunDir(path) as run:
        try:
            run.lock()
        except UserError:
            return
        if not is_replacing(path):
            return
        if not run.is_locked:
            raise UserError(
                f"run '{run.name}' is being replaced by --overwrite, or that process was killed: the file system has "
                f"no locks to tell. If no process trains it, move what is in {path / REPLACED} back to {path}"
            )
        with contextlib.suppress(OSError):
            _restore_old_run(path)


def _restore_old_run(path: Path) -> None:
    """Replace the run at `path` by the one that it was to replace, wherever moving that one was interrupted."""
    replaced = path / REPLACED
    entries = list(replaced.iterdir())
    if any(entry.name == CONFIG for entry in entries):
        _remove_contents(path)
    for entry in sorted(entries, key=lambda entry: entry.name != CONFIG):
        entry.rename(path / entry.name)
    replaced.rmdir()


def _remove_contents(path: Path) -> None:
    """Remove all files of a run but its lock and the run that it replaces."""
    for entry in list(path.iterdir()):
        if entry.name not in (LOCK_FILE, REPLACED):
            remove(entry)


def _is_empty(path: Path) -> bool:
    """Whether `path` is a directory that holds nothing of a run: at most what its creation makes before config.yaml."""
    return path.is_dir() and not path.is_symlink() and all(_is_left_over(entry) for entry in path.iterdir())


def _is_left_over(entry: Path) -> bool:
    if entry.name in _FOLDERS and not entry.is_symlink():
        return entry.is_dir() and not any(entry.iterdir())
    return entry.name in (LOCK_FILE, RECORD, f"{RECORD}.tmp", f"{CONFIG}.tmp")


def _numbers(root: Path, stem: str) -> list[int]:
    pattern = re.compile(re.escape(stem) + r"-(\d{3,})")
    if not Path(root).is_dir():
        return []
    return [int(match[1]) for entry in Path(root).iterdir() if (match := pattern.fullmatch(entry.name))]


def _known(path: Path) -> str:
    if not path.parent.is_dir():
        return f"{path.parent} does not exist"
    return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir() if (entry / CONFIG).is_file()])
