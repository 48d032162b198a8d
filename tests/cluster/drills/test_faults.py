"""Whoever dies or hangs, the run goes on, and no game that was received is lost or counted twice. Real signals."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agents.alphazero.experiment import AlphaZero
from agents.alphazero.experiment import build as alphazero
from agents.alphazero.records import FinishedGames
from cluster.workers.actors import RayActors
from cluster.workers.evaluation import RayEvaluator, start
from lab.run import checkpoint
from lab.run.experiment import Evaluation
from lab.run.launch import built
from tests.agents.small_alphazero import DEVICE, config

Make = Callable[..., AlphaZero]


@pytest.fixture
def make(tmp_path: Path, ray_here: object) -> Iterator[Make]:
    """Builds an experiment with workers that end with the test."""
    stack, directories = ExitStack(), itertools.count()

    def build(workers: int, **cluster: Any) -> AlphaZero:
        options = {"workers": workers, "worker_cpus": 0.25, "worker_threads": 1}
        settings = config(cluster=options | cluster, evaluate={"simulations": 1})
        directory = tmp_path / str(next(directories))
        directory.mkdir()
        experiment = stack.enter_context(built(settings, directory, DEVICE))
        assert isinstance(experiment, AlphaZero)
        return experiment

    with stack:
        yield build


def workers(experiment: AlphaZero) -> RayActors:
    assert isinstance(experiment.actors, RayActors)
    return experiment.actors


def iterate_until(experiment: AlphaZero, true: Callable[[dict[str, float]], bool]) -> None:
    """Iterations until their metrics say so; every game received is in the replay once, whatever happens."""
    for _ in range(3000):
        before = experiment.counters
        values = experiment.iterate()
        now = experiment.counters
        assert now["positions"] == experiment.replay.total >= before["positions"]
        assert now["trained"] <= 2 * now["positions"]
        if true(values):
            return
    pytest.fail("it never came true")


def test_a_killed_worker_is_replaced_and_plays_other_games(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make(2)
    received: list[int] = []
    poll = workers(experiment).poll

    def noted() -> list[FinishedGames]:
        games = poll()
        received.extend(game for batch in games for game in batch.game_id.tolist())
        return games

    monkeypatch.setattr(workers(experiment), "poll", noted)
    iterate_until(experiment, lambda values: values["cluster/workers_alive"] == 2)
    victim = workers(experiment).processes()[0]
    os.kill(victim, signal.SIGKILL)
    iterate_until(experiment, lambda values: values["cluster/restarts"] == 1)
    iterate_until(experiment, lambda values: values["cluster/workers_alive"] == 2)
    experiment.iterate()
    assert victim not in workers(experiment).processes()
    assert len(received) == len(set(received)) == experiment.counters["games"]
    incarnations = workers(experiment).state_dict()["results"]["next"]
    assert sorted(incarnation for _, incarnation, _ in incarnations) == [0, 1]


@pytest.fixture
def evaluator(tmp_path: Path, ray_here: object) -> Iterator[RayEvaluator]:
    cluster = {"evaluator": True, "worker_cpus": 0.25, "worker_threads": 1}
    settings = config(cluster=cluster, evaluate={"simulations": 1})
    with start(settings, tmp_path, DEVICE, "agents.alphazero.evaluation:state_evaluator") as evaluator:
        yield evaluator


def wait(evaluator: RayEvaluator) -> Evaluation:
    for _ in range(200):
        found = evaluator.poll(0.5)
        if found is not None:
            return found
    pytest.fail("it never came")


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_as_the_experiment_is_also_after_its_actor_was_killed(
    evaluator: RayEvaluator, tmp_path: Path
) -> None:
    experiment = alphazero(config(evaluate={"simulations": 1}), tmp_path, DEVICE)
    experiment.iterate()
    path = checkpoint.save(tmp_path, {"experiment": experiment.state_dict()}, iteration=1, counters=experiment.counters)
    evaluator.start(path)
    while not (running := evaluator.processes()):
        evaluator.poll()
    os.kill(running[0], signal.SIGKILL)
    assert wait(evaluator).metrics == experiment.evaluate().metrics
    assert evaluator.processes() != running and evaluator.poll() is None
