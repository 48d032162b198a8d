"""Checkpoints: directories of tensors in safetensors, the rest in JSON, and a manifest of hashes.

    000120/tensors.safetensors   every tensor and array of the state
    000120/state.json            the structure of the state and all values that are not tensors
    000120/manifest.json         size and SHA-256 of the two above, iteration, counters, versions

All files are written to a temporary directory, the manifest last, flushed to the disk and renamed. A checkpoint under
its final name is therefore complete; the hashes detect later damage.
"""

import hashlib
import json
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from lab import __version__
from lab.errors import CheckpointError, UserError
from lab.files import durable
from lab.files.nested_state import FormatError, decode, encode, read_tensors, write_tensors

FORMAT = "lab-checkpoint"
SCHEMA_VERSION = 1
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
BEST = "best"
PENDING = "pending"
"""The checkpoint that is evaluated beside training; it becomes the best or is removed."""
_TEMPORARY, _REPLACED, _SKIPPED = ".writing-", ".replaced-", ".skipped"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Manifest:
    """Description of a checkpoint, read without its tensors."""

    iteration: int
    counters: dict[str, int]
    meta: dict[str, Any]
    files: dict[str, dict[str, Any]]  # name -> {"bytes", "sha256"}
    versions: dict[str, str]
    schema_version: int = SCHEMA_VERSION
    format: str = FORMAT


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back."""

    path: Path
    state: dict[str, Any]
    manifest: Manifest


def save(
    directory: Path,
    state: dict[str, Any],
    *,
    iteration: int,
    counters: Mapping[str, int],
    extra_meta: dict[str, Any] | None = None,
    name: str | None = None,
) -> Path:
    """Write `state` as `directory/name`, replacing one of that name; returns its path.

    The name is the iteration in six digits unless given. Tensors are written one at a time, so the extra
    memory is at most the largest of them. Raises CheckpointError, with the previous checkpoints untouched,
    when the disk is full or cannot be written.
    """
    final = directory / (name or f"{iteration:06d}")
    with _replacing(final) as temporary:
        tree, tensors = encode(state)
        files: dict[str, dict[str, Any]] = {}
        with _hashed(temporary / TENSORS, files) as file:
            write_tensors(file, tensors)
        with _hashed(temporary / STATE, files) as file:
            file.write(json.dumps(tree, allow_nan=False).encode())
        manifest = Manifest(iteration, dict(counters), extra_meta or {}, files, versions())
        with _hashed(temporary / MANIFEST, {}) as file:
            file.write(json.dumps(asdict(manifest), indent=1).encode())
    return final


def load(path: Path) -> tuple[dict[str, Any], Manifest]:
    """Read a checkpoint, with tensors on the CPU, after checking its hashes.

    Raises CheckpointError, one line, for a damaged, incomplete, foreign or newer checkpoint.
    """
    manifest = verify(path)
    try:
        tree = json.loads((path / STATE).read_bytes())
        state = decode(tree, read_tensors(path / TENSORS))
    except (OSError, ValueError, FormatError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    return state, manifest


def verify(path: Path) -> Manifest:
    """Check a checkpoint's files against its manifest; raises CheckpointError naming the first wrong one."""
    manifest = read_manifest(path)
    for name, expected in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise CheckpointError(f"{path}: {name} is missing")
        if file.stat().st_size != expected["bytes"]:
            raise CheckpointError(
                f"{path}: {name} is damaged ({file.stat().st_size} bytes instead of {expected['bytes']})"
            )
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != expected["sha256"]:
                raise CheckpointError(f"{path}: {name} is damaged (its SHA-256 differs from the manifest's)")
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Read the manifest alone, without checking the other files; raises CheckpointError."""
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such checkpoint directory")
    try:
        content = json.loads((path / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path}: incomplete or not a checkpoint (it has no {MANIFEST})") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {MANIFEST} is damaged ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this lab ({MANIFEST} has another format)")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path}: has checkpoint schema {content.get('schema_version')}, lab {__version__} reads only "
            f"{SCHEMA_VERSION}: use that version of lab ({content.get('versions', {}).get('lab', 'unknown')})"
        )
    try:
        manifest = Manifest(**content)
        if {TENSORS, STATE} - manifest.files.keys():
            raise KeyError("files")
        return manifest
    except (TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path}: {MANIFEST} is damaged (missing or unknown {error})") from error


def numbered(directory: Path) -> list[Path]:
    """The numbered checkpoints of a run, newest (highest iteration) first, without checking them."""
    if not directory.is_dir():
        return []
    return sorted((p for p in directory.iterdir() if p.name.isdecimal()), key=lambda p: -int(p.name))


def newest_first(directory: Path, report: Report) -> Iterator[Checkpoint]:
    """Every checkpoint that verifies, newest first; `report` gets one line for each that does not."""
    for path in numbered(directory):
        try:
            state, manifest = load(path)
        except CheckpointError as error:
            report(f"skipped checkpoint {error}")
            continue
        yield Checkpoint(path, state, manifest)


def latest_valid(directory: Path, report: Report) -> Path | None:
    """The newest valid checkpoint; None without any checkpoint.

    Raises CheckpointError when there are checkpoints and every one is damaged.
    """
    candidates = numbered(directory)
    for path in candidates:
        try:
            verify(path)
            return path
        except CheckpointError as error:
            report(f"skipped checkpoint {error}")
    if candidates:
        raise none_valid(directory)
    return None


def choose(run: Path, which: str, report: Report) -> Path:
    """The checkpoint that a user means by "best", "latest" (the newest that verifies) or an iteration.

    "best" is the latest where none is marked; `report` gets a line for each damaged one that is skipped. Raises
    UserError that names the existing checkpoints if there is no such one, CheckpointError if the best is damaged.
    """
    directory = run / "checkpoints"
    if which == BEST and (directory / BEST).is_dir():
        try:
            verify(directory / BEST)
            return directory / BEST
        except CheckpointError as error:
            raise CheckpointError(f"{error}; --checkpoint latest takes another") from None
    if which in (BEST, "latest"):
        found = latest_valid(directory, report)
        if found is None:
            raise UserError(f"{run} has no checkpoint yet; train it with `lab resume {run}`")
        return found
    if not which.isdecimal() or not (directory / f"{int(which):06d}").is_dir():
        known = ", ".join(str(int(path.name)) for path in numbered(directory)) or "none"
        raise UserError(f"{run} has no checkpoint {which!r}; give best, latest or an iteration of: {known}")
    return directory / f"{int(which):06d}"


def none_valid(directory: Path) -> CheckpointError:
    """The error for a run all of whose checkpoints are damaged."""
    hint = ""
    with suppress(CheckpointError):
        verify(directory / BEST)
        run = directory.parent
        hint = (
            f". Its best checkpoint is intact: `lab eval {run}` and `lab play {run}` take it with "
            f"`--checkpoint {BEST}`, `lab arena` as {run}:{BEST}"
        )
    return CheckpointError(
        f"{directory}: none of its checkpoints is valid, and a run is never restarted by itself: "
        f"restore one from a copy, or train again with --overwrite{hint}"
    )


def keep_as(name: str, checkpoint: Path) -> Path:
    """Keep `checkpoint` under a name beside it; its files are hard links if the file system supports them."""
    final = checkpoint.parent / name
    with _replacing(final) as temporary:
        for file in checkpoint.iterdir():
            try:
                os.link(file, temporary / file.name)
            except OSError:
                shutil.copy2(file, temporary / file.name)
    return final


def promote_pending(directory: Path) -> None:
    """Make the pending checkpoint the best."""
    try:
        _put_in_place(directory / PENDING, directory / BEST)
    except OSError as error:
        raise CheckpointError(durable.explain(error, directory / BEST)) from error


def settle(newest: Path, *, best_at: int | None, pending: int | None, report: Report) -> Path | None:
    """Repair a crash that came after writing `newest` and before its best and pending checkpoints were renamed.

    best_at, pending: iterations of the best and the pending checkpoint as stored in `newest`. Returns the pending
    checkpoint if it is intact; any other checkpoint that waits for an evaluation is removed.
    """
    directory, own = newest.parent, read_manifest(newest).iteration
    found = None
    if (directory / PENDING).is_dir():
        try:
            found = verify(directory / PENDING).iteration
        except CheckpointError as error:
            report(f"dropped checkpoint {error}")
    if own == best_at:
        keep_as(BEST, newest)
    elif found is not None and found == best_at:
        promote_pending(directory)
    if own == pending:
        return keep_as(PENDING, newest)
    if found is not None and found == pending:
        return directory / PENDING
    drop_pending(directory)
    return None


def drop_pending(directory: Path) -> None:
    """Remove the pending checkpoint, if there is one."""
    shutil.rmtree(directory / PENDING, ignore_errors=True)


def prune(directory: Path, keep: int) -> None:
    """Remove all but the `keep` newest numbered checkpoints."""
    for path in numbered(directory)[max(keep, 1) :]:
        shutil.rmtree(path, ignore_errors=True)


def tidy(directory: Path) -> None:
    """Remove incomplete checkpoints of a killed process, and restore those it was about to replace.

    Only for the process that holds the run's lock.
    """
    if not directory.is_dir():
        return
    for path in list(directory.iterdir()):
        if path.name.startswith(_TEMPORARY):
            shutil.rmtree(path, ignore_errors=True)
        elif path.name.startswith(_REPLACED):
            final = directory / path.name.removeprefix(_REPLACED)
            if final.exists():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.rename(final)


def set_aside(path: Path) -> Path:
    """Rename a checkpoint that cannot be loaded: it is kept, but is no longer the newest."""
    target = path.with_name(path.name + _SKIPPED)
    for attempt in range(1, 1000):
        if not target.exists():
            break
        target = path.with_name(f"{path.name}{_SKIPPED}-{attempt}")
    return path.rename(target)


def versions() -> dict[str, str]:
    """Versions of the packages that the numbers of a checkpoint depend on."""
    found = {"lab": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in ("torch", "numpy", "safetensors")}


@dataclass
class _HashingFile:
    """A file that hashes the bytes as they are written: a large checkpoint is not read again for its hash."""

    raw: BinaryIO
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, data: bytes | memoryview) -> None:
        self.raw.write(data)
        self.digest.update(data)
        self.size += len(data)


@contextmanager
def _hashed(path: Path, files: dict[str, dict[str, Any]]) -> Iterator[_HashingFile]:
    """Open `path` for writing, flush it to the disk, and enter its size and hash in `files`."""
    with path.open("wb") as raw:
        file = _HashingFile(raw)
        yield file
        raw.flush()
        os.fsync(raw.fileno())
    files[path.name] = {"bytes": file.size, "sha256": file.digest.hexdigest()}


@contextmanager
def _replacing(final: Path) -> Iterator[Path]:
    """A temporary directory that replaces `final` on success. Raises CheckpointError if the disk cannot be written."""
    # Not by tempfile: its directories are readable only by their owner.
    temporary = final.with_name(_TEMPORARY + secrets.token_hex(4))
    try:
        temporary.mkdir(parents=True)
        yield temporary
        durable.sync_directory(temporary)
        _put_in_place(temporary, final)
    except OSError as error:
        raise CheckpointError(durable.explain(error, final)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(temporary: Path, final: Path) -> None:
    """Rename over `final`. Replacing a directory takes two steps; `tidy` repairs a crash between them."""
    replaced = final.with_name(_REPLACED + final.name)
    if final.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        final.rename(replaced)
    temporary.rename(final)
    durable.sync_directory(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)
