"""Where a trial of population based training comes from, and how it becomes a copy of a better one.

A run's settings do not change; a copied run is another run, under the name of the trial that was given up. What
trained it, with which settings and from where, is in its `lineage.json`.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import checkpoint, disk
from lab.config import ExperimentConfig, dump
from lab.errors import UserError
from lab.run_dir import CONFIG, RunDir

LINEAGE = "lineage.json"
_CHECKPOINTS, _WANDB = "checkpoints", "wandb"
_OWN = (_CHECKPOINTS, _WANDB, "debug", ".lock", CONFIG, LINEAGE)


@dataclass(frozen=True)
class Segment:
    """A stretch of training with the same settings: whose it was, from which iteration on, of which trial a copy."""

    trial: str
    iteration: int
    settings: dict[str, Any]
    copied: str | None = None


def begin(folder: Path, name: str, config: ExperimentConfig, settings: dict[str, Any]) -> None:
    """Make the run of a trial, which `lab resume` then trains. Raises UserError when there is one of that name."""
    with RunDir.create(folder, name, dump(config)) as run:
        _write(run.path, [Segment(name, 0, settings)])
        run.started()


def read(run: Path) -> list[Segment]:
    """How the network in a run came to be, its first settings first; nothing where they never change."""
    if not (run / LINEAGE).is_file():
        return []
    return [Segment(**segment) for segment in json.loads((run / LINEAGE).read_bytes())]


def become(run: Path, better: Path, config: ExperimentConfig, settings: dict[str, Any]) -> None:
    """Put a copy of the run `better` in place of `run`, to go on from its newest checkpoint with `config`.

    The run keeps its name and its run in W&B, to which two trials must not write. The copy is made beside it and moved
    in at the end: when that fails the run is as it was, and what a killed process leaves is for `tidy`. Raises
    UserError when `better` has no valid checkpoint, either is being trained, or the copy cannot be written.
    """
    tidy(run)
    with RunDir.open(better) as source, RunDir.open(run) as replaced:
        source.lock()
        replaced.lock()
        try:
            _replace(run, better, config, settings)
        except OSError as error:
            raise UserError(disk.explain(error, run)) from error
        finally:
            tidy(run)


def tidy(run: Path) -> None:
    """Finish or undo the replacement of a run that a killed process was at, so that a whole one is in its place.

    Only for the process whose sweep it is.
    """
    beside, aside = _beside(run), _aside(run)
    if aside.is_dir() and not run.exists():  # killed between the two renames
        beside.rename(run)
    if (beside / _WANDB).is_dir():
        (beside / _WANDB).rename(run / _WANDB)
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(aside, ignore_errors=True)


def _replace(run: Path, better: Path, config: ExperimentConfig, settings: dict[str, Any]) -> None:
    """Make the copy and move it in; the run that was there is left aside."""
    newest = checkpoint.latest_valid(better / _CHECKPOINTS, lambda _: None)
    if newest is None:
        raise checkpoint.none_valid(better / _CHECKPOINTS)
    beside = _beside(run)
    shutil.copytree(better, beside, ignore=lambda path, names: _OWN if Path(path) == better else ())
    own = _wandb_id(run)
    _copy_checkpoint(newest, beside / _CHECKPOINTS, own)
    best = better / _CHECKPOINTS / checkpoint.BEST
    if _is_whole(best):
        _copy_checkpoint(best, beside / _CHECKPOINTS, own)
    segment = Segment(run.name, checkpoint.read_manifest(newest).iteration, settings, better.name)
    _write(beside, [*read(better), segment])
    disk.write_durably(beside / CONFIG, dump(config).encode())
    if (run / _WANDB).is_dir():
        (run / _WANDB).rename(beside / _WANDB)
    run.rename(_aside(run))
    beside.rename(run)
    disk.sync_directory(run.parent)


def _beside(run: Path) -> Path:
    return run.with_name(f".{run.name}.next")


def _aside(run: Path) -> Path:
    return run.with_name(f".{run.name}.last")


def _is_whole(path: Path) -> bool:
    try:
        checkpoint.verify(path)
    except checkpoint.CheckpointError:
        return False
    return True


def _copy_checkpoint(path: Path, folder: Path, wandb_id: str | None) -> None:
    """The same state, but for the run in W&B that it goes on in."""
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
        except checkpoint.CheckpointError:
            continue
    return None


def _write(run: Path, segments: Sequence[Segment]) -> None:
    disk.write_durably(run / LINEAGE, json.dumps([asdict(segment) for segment in segments], indent=1).encode())
