"""Checkpoints: directories of tensors in safetensors, the rest in JSON, and a manifest of hashes.

    000120/tensors.safetensors   every tensor and array of the state
    000120/state.json            the structure of the state and all values that are not tensors
    000120/manifest.json         size and SHA-256 of the two above, iteration, counters, versions, origin, own SHA-256

All files are written to a temporary directory, the manifest last, flushed to the disk and renamed. A checkpoint under
its final name is therefore complete; the hashes detect later damage, and its origin (`lab.run.origin`) a checkpoint of
another run or of other settings.
"""

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from lab import __version__
from lab.config.suggestions import shortened
from lab.errors import CheckpointError, ForeignCheckpointError, UserError
from lab.files import durable
from lab.files.durable import remove
from lab.files.nested_state import decode, encode, read_tensors, write_tensors
from lab.files.plain import is_count, open_regular, parse_json, read_regular
from lab.run import origin as origins
from lab.run.lookup import LARGEST_MANIFEST
from lab.run.origin import Origin

FORMAT = "lab-checkpoint"
SCHEMA_VERSION = 2
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
BEST = "best"
PENDING = "pending"
"""The checkpoint that is evaluated beside training; it becomes the best or is removed."""
_TEMPORARY, _REPLACED, _SKIPPED = ".writing-", ".replaced-", ".skipped"
_FILES = (TENSORS, STATE)
_HASH = "sha256"  # key of the manifest's own hash
_WANDB_ID = re.compile(r"[^\W.][^\s/\\\x00-\x1f]{0,127}")
_DIGITS = 18  # most digits of an iteration

Report = Callable[[str], None]


@dataclass(frozen=True)
class Manifest:
    """Description of a checkpoint, read without its tensors."""

    iteration: int
    counters: dict[str, int]
    meta: dict[str, Any]
    files: dict[str, dict[str, Any]]  # name -> {"bytes", "sha256"}
    versions: dict[str, str]
    run: str = ""  # id of the run (`lab.run.origin`); "" for a state that is of no run, such as a debug bundle
    settings: dict[str, Any] = field(default_factory=dict)  # of the run, by dotted key
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
    origin: Origin | None = None,
) -> Path:
    """Write `state` as `directory/name`, replacing one of that name; returns its path.

    The name is the iteration in six digits unless given. `origin` is that of the run. Tensors are written one at a
    time, so the extra memory is at most the largest of them. Raises CheckpointError, with the previous checkpoints
    untouched, when the disk is full or cannot be written.
    """
    final = directory / (name or f"{iteration:06d}")
    with _replacing(final) as temporary:
        tree, tensors = encode(state)
        files: dict[str, dict[str, Any]] = {}
        with _hashed(temporary / TENSORS, files) as file:
            write_tensors(file, tensors)
        with _hashed(temporary / STATE, files) as file:
            file.write(json.dumps(tree, allow_nan=False).encode())
        own = Origin("", {}) if origin is None else origin
        manifest = Manifest(iteration, dict(counters), extra_meta or {}, files, versions(), own.run or "", own.settings)
        with _hashed(temporary / MANIFEST, {}) as file:
            content = asdict(manifest)
            file.write(json.dumps(content | {_HASH: _digest(content)}, indent=1, allow_nan=False).encode())
    return final


def load(path: Path, origin: Origin | None = None) -> tuple[dict[str, Any], Manifest]:
    """Read a checkpoint, with tensors on the CPU, after checking its hashes and, where given, its origin.

    Raises CheckpointError, one line, for a damaged, incomplete, foreign or newer checkpoint.
    """
    manifest = verify(path, origin)
    try:
        state = decode(parse_json(read_regular(path / STATE)), read_tensors(path / TENSORS))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: {STATE} is damaged (it holds no state)")
    return state, manifest


def verify(path: Path, origin: Origin | None = None) -> Manifest:
    """Check a checkpoint's files against its manifest, and its origin where given.

    Raises CheckpointError naming the first wrong file, or how the origin differs.
    """
    manifest = read_manifest(path, origin)
    for name, expected in manifest.files.items():
        try:
            with open_regular(path / name) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size != expected["bytes"]:
                    raise CheckpointError(f"{path}: {name} is damaged ({size} bytes instead of {expected['bytes']})")
                if hashlib.file_digest(stream, "sha256").hexdigest() != expected["sha256"]:
                    raise CheckpointError(f"{path}: {name} is damaged (its SHA-256 differs from the manifest's)")
        except FileNotFoundError:
            raise CheckpointError(f"{path}: {name} is missing") from None
        except OSError as error:
            raise CheckpointError(f"{path}: {name} cannot be read ({error})") from error
    return manifest


def read_manifest(path: Path, origin: Origin | None = None) -> Manifest:
    """Read the manifest alone, without checking the other files; raises CheckpointError as `verify`."""
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such checkpoint directory")
    try:
        content = parse_json(read_regular(path / MANIFEST, LARGEST_MANIFEST))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: incomplete or not a checkpoint (it has no {MANIFEST})") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {MANIFEST} is damaged ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this lab ({MANIFEST} has another format)")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path}: has checkpoint schema {shortened(content.get('schema_version'))}, lab {__version__} reads only "
            f"{SCHEMA_VERSION}: use the version of lab that wrote it"
        )
    if content.pop(_HASH, None) != _digest(content):
        raise CheckpointError(f"{path}: {MANIFEST} is damaged (its SHA-256 differs)")
    try:
        manifest = Manifest(**content)
        _check_types(manifest)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {MANIFEST} is damaged ({error})") from error
    if origin is not None:
        same_version = manifest.versions.get("lab") == __version__
        try:
            origins.check(origin, run=manifest.run, settings=manifest.settings, same_version=same_version)
        except ForeignCheckpointError as error:
            raise ForeignCheckpointError(f"{path}: {error}") from None
    if path.name.isdecimal() and path.name != f"{manifest.iteration:06d}":
        raise CheckpointError(f"{path}: is the checkpoint of iteration {manifest.iteration} under another name")
    return manifest


def numbered(directory: Path) -> list[Path]:
    """The numbered checkpoints of a run, newest (highest iteration) first, without checking them."""
    if not directory.is_dir():
        return []
    found = [path for path in directory.iterdir() if path.name.isdecimal() and len(path.name) <= _DIGITS]
    return sorted(found, key=lambda path: -int(path.name))


def run_ids(directory: Path) -> set[str]:
    """Ids of the runs that the readable checkpoints of a directory name, the best included."""
    found = set()
    for path in (*numbered(directory), directory / BEST):
        with suppress(CheckpointError):
            found.add(read_manifest(path).run)
    return found - {""}


def check_settings(directory: Path, origin: Origin) -> None:
    """Raise ForeignCheckpointError, one line on the newest, where no checkpoint has the origin's run and settings."""
    refused: ForeignCheckpointError | None = None
    for path in numbered(directory):
        try:
            read_manifest(path, origin)
            return
        except ForeignCheckpointError as error:
            refused = refused or error
        except CheckpointError:
            continue  # damaged: said when checkpoints are read
    if refused is not None:
        raise refused


def newest_first(directory: Path, report: Report, origin: Origin | None = None) -> Iterator[Checkpoint]:
    """Every checkpoint that verifies, newest first; `report` gets one line for each that does not."""
    for path in numbered(directory):
        try:
            state, manifest = load(path, origin)
        except CheckpointError as error:
            report(f"skipped checkpoint {error}")
            continue
        yield Checkpoint(path, state, manifest)


def latest_valid(directory: Path, report: Report, origin: Origin | None = None) -> Path | None:
    """The newest valid checkpoint; None without any checkpoint.

    Raises CheckpointError when there are checkpoints and every one is damaged or of another origin.
    """
    candidates = numbered(directory)
    foreign: CheckpointError | None = None
    for path in candidates:
        try:
            verify(path, origin)
            return path
        except CheckpointError as error:
            report(f"skipped checkpoint {error}")
            if isinstance(error, ForeignCheckpointError):
                foreign = foreign or error
    if candidates:
        raise foreign or none_valid(directory)
    return None


def choose(run: Path, which: str, report: Report) -> Path:
    """The checkpoint that a user means by "best", "latest" (the newest that verifies) or an iteration.

    "best" is the latest where none is marked; `report` gets a line for each damaged one that is skipped. Raises
    UserError that names the existing checkpoints if there is no such one, CheckpointError if the best is damaged.
    """
    directory, origin = run / "checkpoints", origins.origin_of(run)
    if which == BEST and (directory / BEST).is_dir():
        try:
            verify(directory / BEST, origin)
            return directory / BEST
        except CheckpointError as error:
            other = None
            with suppress(CheckpointError):
                other = latest_valid(directory, lambda _: None, origin)
            hint = "" if other is None else "; --checkpoint latest takes another"
            raise CheckpointError(f"{error}{hint}") from None
    if which in (BEST, "latest"):
        found = latest_valid(directory, report, origin)
        if found is None:
            record = origins.read_record(run)
            if record is not None and record.has_checkpoints:
                raise none_left(directory)
            raise UserError(f"{run} has no checkpoint yet; train it with `lab resume {run}`")
        return found
    if not which.isdecimal() or len(which) > _DIGITS or not (directory / f"{int(which):06d}").is_dir():
        known = ", ".join(str(int(path.name)) for path in numbered(directory)) or "none"
        raise UserError(f"{run} has no checkpoint {shortened(which)}; give best, latest or an iteration of: {known}")
    return directory / f"{int(which):06d}"


def none_valid(directory: Path) -> CheckpointError:
    """The error for a run all of whose checkpoints are damaged."""
    return _cannot_continue(directory, "none of its checkpoints is valid")


def none_left(directory: Path) -> CheckpointError:
    """The error for a run that had checkpoints and has none."""
    missing = "its checkpoints are gone"
    if directory.is_symlink() and not directory.exists():
        missing = f"it is a link to {os.readlink(directory)}, which does not exist (is the disk mounted?)"
    return _cannot_continue(directory, missing)


def _cannot_continue(directory: Path, reason: str) -> CheckpointError:
    hint = ""
    with suppress(CheckpointError):
        verify(directory / BEST)
        # `eval` is the one verb that every kind has.
        hint = f". Its best checkpoint is intact: `lab eval {directory.parent} --checkpoint {BEST}` evaluates it"
    return CheckpointError(
        f"{directory}: {reason}, and a run is never restarted by itself: "
        f"restore one from a copy, or train again with --overwrite{hint}"
    )


def keep_as(name: str, checkpoint: Path) -> Path:
    """Keep `checkpoint` under a name beside it; its files are hard links if the file system supports them."""
    final = checkpoint.parent / name
    with _replacing(final) as temporary:
        for file in (checkpoint / part for part in (*_FILES, MANIFEST)):
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


def settle(
    newest: Path, *, best_at: int | None, pending: int | None, report: Report, origin: Origin | None = None
) -> Path | None:
    """Repair a crash that came after writing `newest` and before its best and pending checkpoints were renamed.

    best_at, pending: iterations of the best and the pending checkpoint as stored in `newest`. Returns the pending
    checkpoint if it is intact; any other checkpoint that waits for an evaluation is removed.
    """
    directory, own = newest.parent, read_manifest(newest).iteration
    found = None
    if (directory / PENDING).is_dir():
        try:
            found = verify(directory / PENDING, origin).iteration
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
    remove(directory / PENDING)


def prune(directory: Path, keep: int, newest: int | None = None) -> None:
    """Remove all but the `keep` newest numbered checkpoints, of those up to the iteration `newest` where given.

    A later one that appears beside them is not of this run: it must not take the place of one that is.
    """
    own = [path for path in numbered(directory) if newest is None or int(path.name) <= newest]
    for path in own[max(keep, 1) :]:
        remove(path)


def tidy(directory: Path) -> None:
    """Remove incomplete checkpoints of a killed process, and restore those it was about to replace.

    Only for the process that holds the run's lock.
    """
    if not directory.is_dir():
        return
    for path in list(directory.iterdir()):
        if path.name.startswith(_TEMPORARY):
            remove(path)
        elif path.name.startswith(_REPLACED):
            final = directory / path.name.removeprefix(_REPLACED)
            if os.path.lexists(final):
                remove(path)
            else:
                path.rename(final)


def set_aside(path: Path) -> Path:
    """Rename a checkpoint that cannot be loaded: it is kept, but is no longer the newest. Raises CheckpointError."""
    target = path.with_name(path.name + _SKIPPED)
    for attempt in range(1, 1000):
        if not os.path.lexists(target):
            break
        target = path.with_name(f"{path.name}{_SKIPPED}-{attempt}")
    try:
        return path.rename(target)
    except OSError as error:
        raise CheckpointError(f"cannot rename {path} to {target.name}: {error.strerror or error}") from error


def versions() -> dict[str, str]:
    """Versions of the packages that the numbers of a checkpoint depend on."""
    found = {"lab": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in ("torch", "numpy", "safetensors")}


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's content, which does not depend on how its JSON is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _check_types(manifest: Manifest) -> None:
    """Raise ValueError for a value of a manifest that `save` did not write."""
    if not is_count(manifest.iteration):
        raise ValueError("its iteration is not a count")
    for name in ("counters", "meta", "files", "versions", "settings"):
        if not isinstance(getattr(manifest, name), dict):
            raise ValueError(f"its {name} are not a mapping")
    if not all(is_count(value) for value in manifest.counters.values()):
        raise ValueError("a counter is not a count")
    if manifest.files.keys() != set(_FILES):
        raise ValueError(f"its files are not {' and '.join(_FILES)}")
    for entry in manifest.files.values():
        hashed = isinstance(entry, dict) and entry.keys() == {"bytes", "sha256"}
        if not hashed or not is_count(entry["bytes"]) or not isinstance(entry["sha256"], str):
            raise ValueError("a file has no size or no hash")
    texts = [manifest.run, *manifest.versions.values(), manifest.meta.get("progress", "")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is of another type")
    if not is_count(manifest.meta.get("no_better", 0)) or type(manifest.meta.get("evaluation_due", False)) is not bool:
        raise ValueError("its evaluations are of another type")
    best, at, wandb_id = (manifest.meta.get(name) for name in ("best", "best_at", "wandb_id"))
    if not (at is None or is_count(at)) or not isinstance(best, int | float | None):
        raise ValueError("its best value is of another type")
    if not is_wandb_id(wandb_id):
        raise ValueError("its W&B run is of another type")


def is_wandb_id(value: Any) -> bool:
    """Whether a value that was read is None, "", or the id of a W&B run, which names a folder."""
    return value in (None, "") or (isinstance(value, str) and _WANDB_ID.fullmatch(value) is not None)


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
    if os.path.lexists(final):
        remove(replaced)
        final.rename(replaced)
    temporary.rename(final)
    durable.sync_directory(final.parent)
    remove(replaced)
