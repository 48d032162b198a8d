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
from lab.run import checkpoint
from lab.run.run_dir import CONFIG, RunDir

HISTORY = "pbt_history.json"
_CHECKPOINTS, _WANDB = "checkpoints", "wandb"
_NOT_COPIED = (_CHECKPOINTS, _WANDB, "debug", ".lock", CONFIG, HISTORY)


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
    """The segments of a run, oldest first; empty for a run that is not of PBT."""
    if not (run / HISTORY).is_file():
        return []
    return [Segment(**segment) for segment in json.loads((run / HISTORY).read_bytes())]


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
    newest = checkpoint.latest_valid(better / _CHECKPOINTS, lambda _: None)
    if newest is None:
        raise checkpoint.none_valid(better / _CHECKPOINTS)
    new = _new_path(run)
    shutil.copytree(better, new, ignore=lambda path, names: _NOT_COPIED if Path(path) == better else ())
    wandb_id = _wandb_id(run)
    _copy_checkpoint(newest, new / _CHECKPOINTS, wandb_id)
    best = better / _CHECKPOINTS / checkpoint.BEST
    if _is_valid(best):
        _copy_checkpoint(best, new / _CHECKPOINTS, wandb_id)
    segment = Segment(run.name, checkpoint.read_manifest(newest).iteration, settings, better.name)
    _write(new, [*read_segments(better), segment])
    durable.write_durably(new / CONFIG, dump(config).encode())
    if (run / _WANDB).is_dir():
        (run / _WANDB).rename(new / _WANDB)
    run.rename(_old_path(run))
    new.rename(run)
    durable.sync_directory(run.parent)


def _new_path(run: Path) -> Path:
    return run.with_name(f".{run.name}.new")


def _old_path(run: Path) -> Path:
    return run.with_name(f".{run.name}.old")


def _is_valid(path: Path) -> bool:
    try:
        checkpoint.verify(path)
    except CheckpointError:
        return False
    return True


def _copy_checkpoint(path: Path, folder: Path, wandb_id: str | None) -> None:
    """Copy a checkpoint, with another W&B run."""
    state, manifest = checkpoint.load(path)
    state["loop"]["wandb_id"] = wandb_id
    meta = manifest.meta | {"wandb_id": wandb_id}
    counters = manifest.counters
    checkpoint.save(folder, state, iteration=manifest.iteration, counters=counters, extra_meta=meta, name=path.name)


def _wandb_id(run: Path) -> str | None:
    for path in checkpoint.numbered(run / _CHECKPOINTS):
        try:
            found: str | None = checkpoint.read_manifest(path).meta.get("wandb_id")
            return found
        except CheckpointError:
            continue
    return None


def _write(run: Path, segments: Sequence[Segment]) -> None:
    durable.write_durably(run / HISTORY, json.dumps([asdict(segment) for segment in segments], indent=1).encode())
