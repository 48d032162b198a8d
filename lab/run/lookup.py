"""Runs by name: their directories, names and kinds."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lab.config.presets import read_file, read_settings
from lab.config.suggestions import nearest, shortened
from lab.errors import UserError

RUNS_DIR = Path("runs")
RUNS_DIR_VARIABLE = "LAB_RUNS"
_CONFIG = "config.yaml"
REPLACED = ".replaced"
"""Folder in a run that holds the run that --overwrite replaces, until the new one has started."""

LARGEST_MANIFEST = 1 << 22
"""Bytes of the manifest of a checkpoint, at most."""


def default_runs_dir() -> Path:
    """$LAB_RUNS, else "runs"."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or RUNS_DIR)


def find_run(run: str, runs_dir: Path) -> Path:
    """The directory of a run given by name or path. Raises UserError that names the nearest existing run."""
    path = locate_run(run, runs_dir)
    if path is not None:
        return path
    names = run_names(runs_dir)
    match = nearest(run, names)
    if match is not None:
        hint = f"did you mean {match!r}?"
    elif names:
        hint = f"the runs in {runs_dir} are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
    else:
        hint = f"there are no runs in {runs_dir} (see --runs-dir); `lab train PRESET` starts one"
    raise UserError(f"no run {shortened(run)}; {hint}")


def locate_run(run: str, runs_dir: Path) -> Path | None:
    """The directory of a run given by name or path, or None.

    A run whose replacement was killed is restored first; raises UserError where a file system without locks hides
    whether it was.
    """
    if not run:
        return None
    for path in (runs_dir / run, Path(os.path.expanduser(run))):
        with suppress(OSError):  # a name that is too long, say
            _restore_replaced(path)
            if (path / _CONFIG).is_file():
                return path
    return None


def stored_kind(run: Path) -> str:
    """The kind of experiment of a run directory. Raises UserError if its configuration has none."""
    # Not validated: that imports the module of the kind.
    path = run / _CONFIG
    kind = read_settings(read_file(path), str(path)).get("kind")
    if not isinstance(kind, str):
        raise UserError(f"{path} does not say the kind of its run: the file is damaged")
    return kind


def run_names(runs_dir: Path) -> list[str]:
    """Names of the runs in a directory, sorted; none when it does not exist. Nothing is changed on the disk.

    Raises UserError for a file.
    """
    if not runs_dir.is_dir():
        if runs_dir.exists():
            raise UserError(
                f"{runs_dir} is not a folder: --runs-dir (or ${RUNS_DIR_VARIABLE}) is the folder of the runs"
            )
        return []
    return sorted(path.name for path in runs_dir.iterdir() if _holds_run(path))


def run_stem(preset: str) -> str:
    """The start of the names of a preset's runs: "alphazero/connect_four" gives "alphazero-connect_four"."""
    return Path(preset).stem if preset.endswith(".yaml") else preset.replace("/", "-")


def is_replacing(path: Path) -> bool:
    """Whether a run directory holds the run that it replaces. A link is not followed: its target is not of the run."""
    return (path / REPLACED).is_dir() and not (path / REPLACED).is_symlink()


def _holds_run(path: Path) -> bool:
    """Whether a directory is a run, or holds one whose replacement was interrupted."""
    return (path / _CONFIG).is_file() or (is_replacing(path) and (path / REPLACED / _CONFIG).is_file())


def _restore_replaced(path: Path) -> None:
    """Restore a run whose replacement was killed."""
    if not is_replacing(path):
        return
    from lab.run.run_dir import restore_replaced  # it imports torch, which completion of names does without

    restore_replaced(path)
