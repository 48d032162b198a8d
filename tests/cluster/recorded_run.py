"""A recorded run that a test can hold at a moment of its choice, so that a fault happens there.

`python -m tests.cluster.recorded_run` is `cluster.drills.recorder` that waits while a file in the run's folder says so.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any, Literal

import pytest

from cluster.drills import recorder
from cluster.drills.processes import descendants
from cluster.drills.recorded_run import RecordedRun
from lab.run import checkpoint
from tests.agents.small_alphazero import config
from tests.command_line import ROOT

Moment = Literal["learning", "checkpointing"]
_FOLDER = "LAB_TEST_FOLDER"


def recorded_run(folder: Path, **settings: Any) -> RecordedRun:
    """A run of the smallest configuration, changed by `settings`; not started."""
    environment = {_FOLDER: str(folder), "PYTHONPATH": str(ROOT)}
    changed = config(**{"budget": 1_000_000_000, **settings})
    return RecordedRun(folder, changed, module="tests.cluster.recorded_run", environment=environment)


def hold(run: RecordedRun, moment: Moment) -> None:
    """Have the run wait in the middle of this."""
    (run.folder / f"hold-{moment}").touch()
    run.wait((run.folder / f"held-{moment}").exists)


def release(run: RecordedRun) -> None:
    for mark in run.folder.glob("hold-*"):
        mark.unlink()


def put_nan(run: RecordedRun) -> None:
    """Put NaN into a weight before the next step of the learner."""
    (run.folder / "nan").touch()


def worker_processes(run: RecordedRun) -> list[int]:
    """Self-play processes of a run that has a local cluster."""
    return [pid for pid in descendants(run.pid) if b"SelfPlayWorker" in _command_line(pid)]


def check_replay(run: RecordedRun) -> None:
    """The replay buffer has received every position that is counted, and nothing else."""
    state, manifest = checkpoint.load(checkpoint.numbered(run.path / "checkpoints")[0])
    assert manifest.counters["positions"] == state["experiment"]["replay"]["total"]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _run_with_holds(folder: Path) -> None:
    """`recorder.main` with waits in the learner's step and after the tensors of a checkpoint are written."""
    from agents.alphazero.learner import Learner
    from lab.files.nested_state import write_tensors

    step = Learner.step

    def wait_while_held(moment: Moment) -> None:
        if (folder / f"hold-{moment}").exists():
            (folder / f"held-{moment}").touch()
            while (folder / f"hold-{moment}").exists():
                time.sleep(0.01)
            (folder / f"held-{moment}").unlink()

    def held_step(learner: Learner, *arguments: Any) -> Any:
        wait_while_held("learning")
        if (folder / "nan").exists():
            next(learner.net.parameters()).data[0] = float("nan")
        return step(learner, *arguments)

    def held_write(*arguments: Any) -> None:
        write_tensors(*arguments)
        wait_while_held("checkpointing")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", held_step)
        patch.setattr(checkpoint, "write_tensors", held_write)
        sys.exit(recorder.main())


if __name__ == "__main__":
    _run_with_holds(Path(os.environ[_FOLDER]))
