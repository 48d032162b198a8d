"""The origin of a checkpoint: its run, and the settings that it was trained with.

`run.json` holds the id of a run and whether it has ever had a checkpoint. Every checkpoint repeats the id and all
settings that a stopped run cannot change, so that a checkpoint of another run, or of a `config.yaml` that was edited,
is not taken for its own, and missing checkpoints are not taken for a beginning.
"""

import hashlib
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.config import presets
from lab.config.loading import is_resumable
from lab.config.suggestions import shortened
from lab.errors import ForeignCheckpointError, UserError
from lab.files import durable
from lab.files.plain import parse_json, read_regular

RECORD = "run.json"
_CONFIG = "config.yaml"
_LARGEST_RECORD = 1 << 12
_DESCRIPTIVE = ("description", "schema_version")  # keys without influence on the numbers
_SHOWN = 3  # differing settings in a message


@dataclass(frozen=True)
class Origin:
    """The id of a run, None where its record is missing, and its settings by dotted key."""

    run: str | None
    settings: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """`run.json`: the id of the run, and whether a checkpoint has ever been written."""

    id: str
    has_checkpoints: bool = False


def origin_of(run: Path) -> Origin:
    """The origin of the checkpoints of a run directory. Raises UserError when its config.yaml cannot be read."""
    path, record = run / _CONFIG, read_record(run)
    settings = presets.read_settings(presets.read_file(path), str(path))
    return Origin(None if record is None else record.id, frozen(settings))


def frozen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a stopped run cannot change, by dotted key, as values that JSON keeps."""
    leaves = presets.leaves(settings)
    return {key: _plain(leaves[key]) for key in leaves if not is_resumable(key) and key not in _DESCRIPTIVE}


def check(origin: Origin, *, run: str, settings: Mapping[str, Any], same_version: bool) -> None:
    """Raise ForeignCheckpointError, without a path, unless a checkpoint of `run` and `settings` is of this origin.

    same_version: whether this version of lab wrote it; a setting that another version does not have is passed over.
    """
    if not run:
        raise ForeignCheckpointError("belongs to no run")
    if origin.run is not None and run != origin.run:
        raise ForeignCheckpointError("belongs to another run")
    own, absent = origin.settings, object()
    keys = [*settings, *(key for key in own if key not in settings and same_version)]
    changed = [key for key in keys if not _same(settings.get(key, absent), own.get(key, absent))]
    if changed:
        changed = [key for key in changed if not _is_empty_parent(key, changed)]
        was, now = (", ".join(_shown(key, values) for key in changed[:_SHOWN]) for values in (settings, own))
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise ForeignCheckpointError(
            f"was trained with {was}{more}, but {_CONFIG} now says {now}: put the old values back"
        )


def _is_empty_parent(key: str, changed: Sequence[str]) -> bool:
    """Whether a section differs only in being empty: its keys are among those that changed."""
    return any(other.startswith(f"{key}.") for other in changed)


def _shown(key: str, settings: Mapping[str, Any]) -> str:
    return f"{key}={shortened(settings[key])}" if key in settings else f"{key} not set"


def new_record(run: Path) -> None:
    """Write the record of a new run. Raises OSError."""
    _write(run, Record(secrets.token_hex(8)))


def read_record(run: Path) -> Record | None:
    """The record of a run, None where it is missing or damaged."""
    try:
        content = parse_json(read_regular(run / RECORD, _LARGEST_RECORD))
        record = Record(content["id"], content["has_checkpoints"])
        return record if content["sha256"] == _digest(record) and isinstance(record.id, str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mark_saved(run: Path, run_id: str) -> None:
    """Record that the run has had a checkpoint. Raises UserError when the disk cannot be written."""
    try:
        _write(run, Record(run_id, has_checkpoints=True))
    except OSError as error:
        raise UserError(durable.explain(error, run / RECORD)) from error


def _write(run: Path, record: Record) -> None:
    durable.write_durably(run / RECORD, json.dumps(asdict(record) | {"sha256": _digest(record)}).encode())


def _digest(record: Record) -> str:
    return hashlib.sha256(json.dumps(asdict(record), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _same(one: Any, other: Any) -> bool:
    """Equal, where true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
