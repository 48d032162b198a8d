"""Faults in the middle of learning and of writing a checkpoint, and what ends a run on purpose. Real processes."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.drills.processes import running
from cluster.drills.recorded_run import RecordedRun
from lab.run import checkpoint
from tests.cluster.recorded_run import Moment, check_replay, hold, put_nan, recorded_run, release, worker_processes

pytestmark = pytest.mark.timeout(600)

Begin = Callable[..., RecordedRun]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts a run whose two workers are up."""
    started: list[RecordedRun] = []

    def start(**cluster: Any) -> RecordedRun:
        run = recorded_run(tmp_path, cluster={"workers": 2, "worker_cpus": 0.5, **cluster})
        started.append(run)
        run.train()
        run.wait(run.all_ready)
        run.advance(5)
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
    hold(run, moment)
    victim = worker_processes(run)[0]
    os.kill(victim, number)
    if number == signal.SIGKILL:
        run.wait(lambda: not running({victim}))
    release(run)
    run.wait(lambda: run.metric("cluster/restarts") == 1 and run.all_ready())
    run.wait(lambda: not running({victim}))
    run.finish()
    check_replay(run)


@pytest.mark.parametrize(
    "moment",
    [pytest.param("learning", marks=pytest.mark.long), pytest.param("checkpointing", marks=pytest.mark.slow)],
)
def test_a_learner_killed_meanwhile_is_resumed(begin: Begin, moment: Moment) -> None:
    run = begin()
    run.wait(lambda: len(checkpoint.numbered(run.path / "checkpoints")) >= 2)
    hold(run, moment)
    folder = run.path / "checkpoints"
    unfinished = list(folder.glob(".writing-*"))
    assert bool(unfinished) == (moment == "checkpointing")
    kept = checkpoint.numbered(folder)[0]
    run.stop(signal.SIGKILL, -signal.SIGKILL)
    release(run)
    run.resume()
    run.wait(lambda: f"continuing from iteration {int(kept.name)} " in run.output)
    run.wait(run.all_ready)
    run.advance(5)
    assert not any(path.exists() for path in unfinished)  # the resumed run may be writing another
    run.finish()
    check_replay(run)


@pytest.mark.slow
def test_ctrl_c_saves_and_leaves_no_process(begin: Begin) -> None:
    run = begin()
    run.stop(signal.SIGINT, 130, group=True)
    newest = checkpoint.numbered(run.path / "checkpoints")[0]
    assert checkpoint.verify(newest).iteration == run.iteration()
    assert "Traceback" not in run.output
    run.check_counts()
    run.check_no_process_left()


@pytest.mark.long
def test_nan_stops_before_saving_and_leaves_no_process(begin: Begin) -> None:
    run = begin()
    run.wait(lambda: checkpoint.numbered(run.path / "checkpoints"))
    put_nan(run)
    run.expect_exit(2)
    run.check_no_process_left()
    last = [line for line in run.output.splitlines() if line.startswith("lab: ")]
    assert len(last) == 1 and "is nan" in last[0] and "Traceback" not in run.output
    newest = checkpoint.numbered(run.path / "checkpoints")[0]
    state, _ = checkpoint.load(newest)
    assert all(tensor.isfinite().all() for tensor in state["experiment"]["learner"]["net"].values())
    assert list((run.path / "debug").iterdir())
