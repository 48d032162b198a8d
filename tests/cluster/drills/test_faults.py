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
from agents.alphazero.records import FinishedGames
from cluster.workers.actors import RayActors
from cluster.workers.evaluation import RayGrading
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
    due = workers(experiment).state_dict()["ledger"]["due"]
    assert sorted(incarnation for _, incarnation, _ in due) == [0, 1]


def test_evaluation_goes_on_beside_training_and_is_of_the_weights_it_was_asked_for(make: Make) -> None:
    experiment = make(1, evaluator=True)
    for _ in range(3):
        experiment.iterate()
    at = experiment.counters["positions"]
    assert not experiment.evaluate().metrics
    assert experiment.evaluating == at
    late: list[Evaluation] = []

    def arrived(_: dict[str, float]) -> bool:
        late.extend(experiment.late_evaluations())
        return bool(late)

    iterate_until(experiment, arrived)
    (graded,) = late
    assert graded.at == graded.metrics["eval/at_positions"] == at < experiment.counters["positions"]
    assert "eval/optimal_outcome" in graded.metrics
    assert experiment.evaluating is None


@pytest.mark.slow
def test_the_last_evaluation_is_waited_for(make: Make) -> None:
    experiment = make(1, evaluator=True)
    experiment.iterate()
    experiment.evaluate()
    iterate_until(experiment, lambda values: experiment.counters["positions"] >= experiment.config.budget)
    assert "eval/optimal_outcome" in experiment.evaluate().metrics


def test_a_killed_evaluator_grades_again(make: Make) -> None:
    experiment = make(1, evaluator=True)
    evaluator = experiment.evaluator
    assert isinstance(evaluator, RayGrading)
    evaluator.ask(7, experiment.learner.average.module)
    while not (running := evaluator.processes()):
        evaluator.answers()
    os.kill(running[0], signal.SIGKILL)
    answers = evaluator.answers(wait=True)
    assert [graded.positions for graded in answers] == [7]
    assert evaluator.processes() != running
