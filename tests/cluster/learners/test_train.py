"""Learners through Ray Train: the run is the one that a single process trains, whoever dies on the way."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.drills.processes import descendants
from lab.cli.main import main
from lab.config.loading import from_settings
from lab.errors import UserError
from lab.run.checkpoint import read_manifest
from lab.run.metrics import read
from tests.agents import small_alphazero
from tests.command_line import launch
from tests.gans.small_gan import config, preset
from tests.same_run import final_state

_RANKS = ("cluster.learners=2", "cluster.worker_cpus=0.5")
_PATIENCE_S = 240


def iterations(run: Path) -> int:
    return max((entry.iteration for entry in read(run / "metrics.jsonl")), default=0)


def assert_same_but_for_rounding(one: Path, other: Path) -> None:
    """The same counters and nearly the same weights at the end."""
    (first, at), (second, there) = final_state(one), final_state(other)
    assert at == there
    assert first["experiment"]["images"] == second["experiment"]["images"]
    for net in ("generator", "discriminator", "average"):
        weights, others = (state["experiment"]["trainer"][net] for state in (first, second))
        torch.testing.assert_close(weights, others, rtol=5e-3, atol=5e-3)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process, never interrupted."""
    folder = tmp_path_factory.mktemp("alone")
    assert main(["train", str(preset(folder)), "--runs-dir", str(folder), "--name", "run"]) == 0
    return folder / "run"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_learners_train_what_one_process_goes_on_with(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run = str(preset(tmp_path)), tmp_path / "run"
    assert main(["train", file, *_RANKS, "budget=192", "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    assert "complete: 192 images" in capsys.readouterr().out
    assert main(["resume", str(run), "budget=416", "cluster.learners=1"]) == 0
    assert_same_but_for_rounding(alone, run)


@pytest.mark.long
@pytest.mark.usefixtures("ray_here")
def test_the_first_of_alphazero_s_learners_has_workers_that_play(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run = str(small_alphazero.preset(tmp_path)), tmp_path / "run"
    asked = [*_RANKS, "cluster.workers=1", "evaluate.every=2"]
    assert main(["train", file, *asked, "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    assert "complete: 4" in capsys.readouterr().out
    found = [entry for entry in read(run / "metrics.jsonl") if "cluster/workers_alive" in entry.metrics]
    assert [entry.iteration for entry in found] == list(range(1, len(found) + 1))
    assert max(entry.metrics["cluster/workers_alive"] for entry in found) == 1
    assert any("loss/total" in entry.metrics for entry in found)
    assert all(entry.counters["trained"] <= 2 * entry.counters["positions"] for entry in found)
    # Playing in one process needs nothing of either.
    assert main(["resume", str(run), "budget=500", "cluster.learners=1", "cluster.workers=0"]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_worker_measures_beside_learners_and_tells_which_checkpoint_is_best(tmp_path: Path) -> None:
    file = str(preset(tmp_path, evaluate={"samples": 32, "grid": 2, "every": 3, "best": "eval/frechet_distance"}))
    asked = [*_RANKS, "cluster.evaluator=true"]
    assert main(["train", file, *asked, "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    found = {
        int(entry.metrics["eval/images_shown"]): entry.metrics["eval/frechet_distance"]
        for entry in read(tmp_path / "run" / "metrics.jsonl")
        if "eval/images_shown" in entry.metrics
    }
    assert max(found) == 416  # the last is waited for
    best = read_manifest(tmp_path / "run" / "checkpoints" / "best")
    assert best.counters["images"] == min(found, key=lambda images: found[images])


@pytest.mark.long
@pytest.mark.usefixtures("ray_here")
def test_learners_go_on_with_what_one_process_trained(alone: Path, tmp_path: Path) -> None:
    file, run = str(preset(tmp_path)), tmp_path / "run"
    assert main(["train", file, "budget=192", "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    assert main(["resume", str(run), "budget=416", *_RANKS]) == 0
    assert_same_but_for_rounding(alone, run)


@pytest.mark.timeout(4 * _PATIENCE_S)
@pytest.mark.parametrize(
    "leading", [pytest.param(True, marks=pytest.mark.slow), pytest.param(False, marks=pytest.mark.long)]
)
def test_a_killed_rank_costs_the_iterations_since_the_checkpoint_and_a_signal_stops_all(
    leading: bool, tmp_path: Path
) -> None:
    file, run = preset(tmp_path, training={"images_per_iteration": 320}, budget=10_000_000), tmp_path / "run"
    process = launch("train", file, *_RANKS, "--runs-dir", tmp_path, "--name", "run")
    try:
        _wait_until(lambda: iterations(run) >= 5, process)
        leader = int((run / ".lock").read_text().split()[1])
        ranks = _ranks_of(process)
        assert leader in ranks and len(ranks) == 2
        victim = leader if leading else next(rank for rank in ranks if rank != leader)
        os.kill(victim, signal.SIGKILL)
        _wait_until(lambda: "continuing from iteration" in (run / "log.txt").read_text(), process)
        since = iterations(run)
        _wait_until(lambda: iterations(run) >= since + 2, process)
        process.send_signal(signal.SIGTERM)
        output = "".join(process.communicate(timeout=_PATIENCE_S))
    finally:
        process.kill()
    assert process.returncode == 143, output
    assert "SIGTERM: stopped at iteration" in output
    seen = [entry.iteration for entry in read(run / "metrics.jsonl") if "loss/discriminator" in entry.metrics]
    assert seen == list(range(1, len(seen) + 1))
    state, _ = final_state(run)
    assert state["experiment"]["images"] == 320 * len(seen)


@pytest.mark.long
@pytest.mark.timeout(4 * _PATIENCE_S)
def test_the_next_leader_has_the_room_of_a_killed_one_s_workers(tmp_path: Path) -> None:
    file, run = small_alphazero.preset(tmp_path, budget=10_000_000), tmp_path / "run"
    cpus = f"cluster.worker_cpus={(os.cpu_count() or 1) / 4}"  # two learners and two workers fill the machine
    asked = ["cluster.learners=2", "cluster.workers=2", cpus, "cluster.worker_threads=1", "cluster.place_timeout_s=60"]
    process = launch("train", file, *asked, "--runs-dir", tmp_path, "--name", "run")
    try:
        _wait_until(lambda: iterations(run) >= 5, process)
        os.kill(int((run / ".lock").read_text().split()[1]), signal.SIGKILL)
        _wait_until(lambda: "continuing from iteration" in (run / "log.txt").read_text(), process)
        since = iterations(run)
        _wait_until(lambda: iterations(run) >= since + 3, process)
        process.send_signal(signal.SIGTERM)
        output = "".join(process.communicate(timeout=_PATIENCE_S))
    finally:
        process.kill()
    assert process.returncode == 143, output


@pytest.mark.usefixtures("ray_here")
def test_learners_that_do_not_fit_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["cluster.learners=2", "cluster.worker_cpus=64", "cluster.place_timeout_s=1"]
    assert main(["train", str(preset(tmp_path)), *asked, "--runs-dir", str(tmp_path), "--name", "run"]) == 2
    assert "not enough free resources within 1 s for learners: 2 with 64 CPU each" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (config(), r"is 2 groups of network.minibatch_group 4, .* lower cluster.learners to 2"),
        (
            small_alphazero.config(learner={"batch_size": 2}),
            "learner.batch_size 2 is less than one position for each of 3 learners",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(settings: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_settings(settings.model_dump(mode="json") | {"cluster": {"learners": 3}}, "here")


def _ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of the ranks that descend from a `lab train`."""
    return [
        number
        for number in descendants(process.pid)
        if b"RayTrainWorker" in Path(f"/proc/{number}/cmdline").read_bytes()
    ]


def _wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Ray starts slowly on a machine that is busy."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.05)
