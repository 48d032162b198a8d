"""Faults in the middle of learning and of writing a checkpoint, and what ends a run on purpose. Real processes."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.drills.processes import iteration, running
from lab.run import checkpoint
from tests.cluster.recorded_run import Moment, RecordedRun

pytestmark = pytest.mark.timeout(600)

Begin = Callable[..., RecordedRun]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts a run whose two workers are up."""
    started: list[RecordedRun] = []

    def start(**cluster: Any) -> RecordedRun:
        run = RecordedRun(tmp_path, cluster={"workers": 2, "worker_cpus": 0.5, **cluster})
        started.append(run)
        run.train()
        run.wait_until(run.all_up)
        run.go_on()
        return run

    yield start
    for run in started:
        run.kill()


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param("learning", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("learning", signal.SIGSTOP, marks=pytest.mark.long),
        pytest.param("checkpointing", signal.SIGKILL, marks=pytest.mark.long),
    ],
)
def test_a_worker_lost_meanwhile_is_replaced(begin: Begin, moment: Moment, number: signal.Signals) -> None:
    run = begin(hang_timeout_s=5)
    run.hold(moment)
    victim = run.workers()[0]
    os.kill(victim, number)
    if number == signal.SIGKILL:
        run.wait_until(lambda: not running({victim}))
    run.release()
    run.wait_until(lambda: run.value("cluster/restarts") == 1 and run.all_up())
    run.wait_until(lambda: not running({victim}))
    run.finish()


@pytest.mark.parametrize(
    "moment",
    [pytest.param("learning", marks=pytest.mark.long), pytest.param("checkpointing", marks=pytest.mark.slow)],
)
def test_a_learner_killed_meanwhile_is_resumed(begin: Begin, moment: Moment) -> None:
    run = begin()
    run.wait_until(lambda: len(checkpoint.numbered(run.path / "checkpoints")) >= 2)
    run.hold(moment)
    folder = run.path / "checkpoints"
    assert bool(list(folder.glob(".writing-*"))) == (moment == "checkpointing")
    kept = checkpoint.numbered(folder)[0]
    run.signal(signal.SIGKILL, -signal.SIGKILL)
    run.release()
    run.resume()
    run.wait_until(lambda: f"continuing from iteration {int(kept.name)} " in run.output)
    run.wait_until(run.all_up)
    run.go_on()
    assert not list(folder.glob(".writing-*"))
    run.finish()


@pytest.mark.slow
def test_ctrl_c_saves_and_leaves_no_process(begin: Begin) -> None:
    run = begin()
    run.signal(signal.SIGINT, 130, group=True)
    newest = checkpoint.numbered(run.path / "checkpoints")[0]
    assert checkpoint.verify(newest).iteration == iteration(run.path)
    assert "Traceback" not in run.output
    run.check_counts()


@pytest.mark.slow
def test_nan_stops_before_saving_and_leaves_no_process(begin: Begin) -> None:
    run = begin()
    run.wait_until(lambda: checkpoint.numbered(run.path / "checkpoints"))
    run.spoil()
    run.ends(2)
    last = [line for line in run.output.splitlines() if line.startswith("lab: ")]
    assert len(last) == 1 and "is nan" in last[0] and "Traceback" not in run.output
    newest = checkpoint.numbered(run.path / "checkpoints")[0]
    state, _ = checkpoint.load(newest)
    assert all(tensor.isfinite().all() for tensor in state["experiment"]["learner"]["net"].values())
    assert list((run.path / "debug").iterdir())
