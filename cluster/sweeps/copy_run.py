"""The exploit step of population based training: a run is replaced by a copy of a better one.

The copy has the name of the run that it replaces. `pbt_history.json` in a run lists the segments of its training: the
trial, the first iteration and the settings of each.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.config.loading import dump
from lab.config.sections import ExperimentConfig
from lab.errors import CheckpointError, UserError
from lab.files import durable
from lab.files.plain import is_count, parse_json, read_regular
from lab.run import checkpoint
from lab.run.checkpoint import Checkpoint
from lab.run.lock import LOCK_FILE
from lab.run.loop_state import LoopState
from lab.run.origin import RECORD, Origin, new_record, origin_of, read_record
from lab.run.run_dir import CONFIG, RunDir

HISTORY = "pbt_history.json"
_CHECKPOINTS, _WANDB = "checkpoints", "wandb"
_NOT_COPIED = (_CHECKPOINTS, _WANDB, "debug", LOCK_FILE, CONFIG, HISTORY, RECORD)
_LARGEST_HISTORY = 1 << 26  # bytes


@dataclass(frozen=True)
class Segment:
    """Training with constant settings: the trial, its first iteration, and the trial that it was copied from."""

    trial: str
    iteration: int
    settings: dict[str, Any]
    copied_from: str | None = None


def create_run(folder: Path, name: str, config: ExperimentConfig, settings: dict[str, Any]) -> None:
    """Create the run of a trial, to be trained by `lab resume`. Raises UserError when the run exists."""
    with RunDir.create(folder, name, dump(config)) as run:
        _write(run.path, [Segment(name, 0, settings)])
        run.started()


def read_segments(run: Path) -> list[Segment]:
    """The segments of a run, oldest first; empty for a run that is not of PBT. Raises UserError for a damaged file."""
    path = run / HISTORY
    try:
        entries = parse_json(read_regular(path, _LARGEST_HISTORY))
        if not isinstance(entries, list):
            raise ValueError("it holds no list")
        return [_segment(entry) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged, restore it from a copy: {error}") from None


def replace_run(run: Path, better: Path, config: ExperimentConfig, settings: dict[str, Any]) -> None:
    """Replace `run` by a copy of `better`, to continue from its newest checkpoint with `config`.

    The run keeps its name and its W&B run, since two trials must not write to one. The copy is made in a hidden
    directory beside the run and renamed at the end: after an error the run is unchanged, after a kill `recover` repairs
    it. Raises UserError when `better` has no valid checkpoint, a process trains either run, or the disk is full.
    """
    recover(run)
    with RunDir.open(better) as source, RunDir.open(run) as replaced:
        source.lock()
        replaced.lock()
        try:
            _replace(run, better, config, settings)
        except OSError as error:
            raise UserError(durable.explain(error, run)) from error
        finally:
            recover(run)


def recover(run: Path) -> None:
    """Finish or undo a replacement that was interrupted. Only the process that runs the sweep may call it."""
    new, old = _new_path(run), _old_path(run)
    if old.is_dir() and not run.exists():  # killed between the two renames
        new.rename(run)
    if (new / _WANDB).is_dir():
        (new / _WANDB).rename(run / _WANDB)
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _replace(run: Path, better: Path, config: ExperimentConfig, settings: dict[str, Any]) -> None:
    """Copy `better` and rename the copy to `run`; the replaced run stays at `_old_path`."""
    source, new = origin_of(better), _new_path(run)
    newest = next(filter(_is_resumable, checkpoint.newest_first(better / _CHECKPOINTS, lambda _: None, source)), None)
    if newest is None:
        raise checkpoint.none_valid(better / _CHECKPOINTS)
    shutil.copytree(better, new, ignore=lambda path, names: _NOT_COPIED if Path(path) == better else ())
    wandb_id, text = _wandb_id(run), dump(config)
    durable.write_durably(new / CONFIG, text.encode())
    # The copy keeps the id of the run that it replaces; its checkpoints get that id and the new settings.
    if read_record(run) is None:
        new_record(new)
    else:
        shutil.copy2(run / RECORD, new / RECORD)
    own = origin_of(new)
    _copy_checkpoint(newest, new / _CHECKPOINTS, wandb_id, own)
    best = _best(better / _CHECKPOINTS, source)
    if best is not None:
        _copy_checkpoint(best, new / _CHECKPOINTS, wandb_id, own)
    segment = Segment(run.name, newest.manifest.iteration, settings, better.name)
    _write(new, [*read_segments(better), segment])
    if (run / _WANDB).is_dir():
        (run / _WANDB).rename(new / _WANDB)
    run.rename(_old_path(run))
    new.rename(run)
    durable.sync_directory(run.parent)


def _new_path(run: Path) -> Path:
    return run.with_name(f".{run.name}.new")


def _old_path(run: Path) -> Path:
    return run.with_name(f".{run.name}.old")


def _best(folder: Path, origin: Origin) -> Checkpoint | None:
    """The best checkpoint of a run, if it is valid."""
    try:
        found = Checkpoint(folder / checkpoint.BEST, *checkpoint.load(folder / checkpoint.BEST, origin))
    except CheckpointError:
        return None
    return found if _is_resumable(found) else None


def _is_resumable(found: Checkpoint) -> bool:
    """Whether a checkpoint has a run loop's state, which `lab resume` needs."""
    try:
        LoopState.from_state(found.state["loop"])
    except (LookupError, TypeError, ValueError):
        return False
    return True


def _copy_checkpoint(found: Checkpoint, folder: Path, wandb_id: str | None, origin: Origin) -> None:
    """Copy a checkpoint, with another W&B run and another origin."""
    state, manifest = found.state, found.manifest
    state["loop"]["wandb_id"] = wandb_id
    meta, counters = manifest.meta | {"wandb_id": wandb_id}, manifest.counters
    name, iteration = found.path.name, manifest.iteration
    checkpoint.save(folder, state, iteration=iteration, counters=counters, extra_meta=meta, name=name, origin=origin)


def _wandb_id(run: Path) -> str | None:
    for path in checkpoint.numbered(run / _CHECKPOINTS):
        try:
            found: str | None = checkpoint.read_manifest(path).meta.get("wandb_id")
            return found
        except CheckpointError:
            continue
    return None


def _segment(entry: Any) -> Segment:
    """Raises TypeError or ValueError for anything but a segment."""
    segment = Segment(**entry)
    texts = [segment.trial, segment.copied_from or ""]
    if not all(isinstance(text, str) for text in texts) or not isinstance(segment.settings, dict):
        raise ValueError("a segment has values of other types")
    if not is_count(segment.iteration):
        raise ValueError("the iteration of a segment is not a count")
    return segment


def _write(run: Path, segments: Sequence[Segment]) -> None:
    durable.write_durably(run / HISTORY, json.dumps([asdict(segment) for segment in segments], indent=1).encode())
