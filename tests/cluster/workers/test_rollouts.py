"""Rollouts by workers: those of one process, also after a worker was lost, and in a resumed run."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.ppo.config import PPOConfig
from agents.ppo.experiment import PPO, build
from agents.ppo.metrics import CATALOGUE
from cluster.workers.rollouts import RayRollouts
from lab.errors import UserError
from lab.run import launch
from tests.agents.ppo.five_environments import DEVICE, RECURRENT, config
from tests.same_run import assert_same_bits

pytestmark = pytest.mark.usefixtures("ray_here")

CLUSTER: dict[str, Any] = {"cluster": {"workers": 2, "worker_cpus": 0.25, "worker_threads": 1}}


@contextmanager
def with_workers(settings: PPOConfig) -> Iterator[PPO]:
    """An experiment with workers, which end with the context."""
    torch.manual_seed(0)
    with launch.built(settings, Path(), DEVICE) as experiment:
        assert isinstance(experiment, PPO)
        yield experiment


def alone(*changes: dict[str, Any]) -> PPO:
    torch.manual_seed(0)
    return build(config(*changes), Path(), DEVICE)


def weights(experiment: PPO) -> dict[str, Any]:
    return dict(experiment.learner.network.state_dict())


@pytest.fixture(scope="module")
def two(ray_here: Any) -> Iterator[PPO]:
    with with_workers(config(RECURRENT, CLUSTER)) as experiment:
        yield experiment


@pytest.fixture(scope="module")
def process() -> PPO:
    """The same experiment in one process, iterated as often as `two`."""
    return alone(RECURRENT)


def test_two_workers_train_what_one_process_trains(two: PPO, process: PPO) -> None:
    for _ in range(3):
        metrics, expected = two.iterate(), process.iterate()
        learned = {key: value for key, value in expected.items() if not key.startswith("time/") and "_s" not in key}
        assert {key: metrics[key] for key in learned} == pytest.approx(learned, rel=1e-2, abs=1e-4)
        assert set(metrics) <= set(CATALOGUE)
    torch.testing.assert_close(weights(two), weights(process), rtol=2e-3, atol=2e-3)
    assert metrics["cluster/workers_alive"] == 2 and 0 < metrics["cluster/worker_busy"] <= 1
    assert 0 < metrics["cluster/balance"] <= 1 and 0 < metrics["cluster/learner_wait"] <= 1


def test_a_run_goes_on_in_workers_and_in_one_process(two: PPO) -> None:
    resumed = alone(RECURRENT)
    resumed.load_state_dict(two.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(resumed.collect()[0]._asdict(), two.collect()[0]._asdict(), rtol=1e-4, atol=1e-5)
    two.load_state_dict(resumed.state_dict())
    two.actors.publish(two.learner.network)
    torch.testing.assert_close(resumed.collect()[0]._asdict(), two.collect()[0]._asdict(), rtol=1e-4, atol=1e-5)


def test_a_worker_that_dies_is_replaced_and_its_episodes_are_counted(two: PPO) -> None:
    assert isinstance(two.actors, RayRollouts)
    before = two.state_dict()
    restarts = two.iterate()["cluster/restarts"]
    os.kill(two.actors.processes()[1], signal.SIGKILL)
    metrics = two.iterate()
    assert metrics["cluster/restarts"] == restarts + 1
    assert metrics["rollout/dropped"] == before["dropped"] + 3  # environments of the second worker
    assert two.counters["steps"] == before["steps"] + 2 * 5 * 12
    assert two.iterate()["rollout/dropped"] == metrics["rollout/dropped"]


def test_a_state_that_lacks_a_lost_worker_begins_new_episodes(two: PPO) -> None:
    assert isinstance(two.actors, RayRollouts)
    two.iterate()
    os.kill(two.actors.processes()[0], signal.SIGKILL)
    state = two.state_dict()
    assert state["actors"]["environments"] == {}
    resumed = alone(RECURRENT)
    resumed.load_state_dict(state)
    assert resumed.collect()[0].starts[0].all()
    two.iterate()
    assert two.state_dict()["actors"]["environments"] != {}


@pytest.mark.slow
def test_an_error_that_every_worker_would_have_ends_the_run_with_its_line() -> None:
    with with_workers(config(CLUSTER, {"cluster": {"workers": 1}})) as experiment:
        assert isinstance(experiment.actors, RayRollouts)
        experiment.iterate()
        experiment.actors._settings["env"]["id"] = "CartPol-v1"  # a package that a new worker's node lacks
        os.kill(experiment.actors.processes()[0], signal.SIGKILL)
        with pytest.raises(UserError, match="unknown environment 'CartPol-v1'"):
            experiment.iterate()
        assert experiment.state_dict()["actors"]["environments"] == {}


@pytest.mark.slow
def test_runs_with_equally_many_workers_are_the_same_bit_for_bit() -> None:
    states = []
    for _ in range(2):
        with with_workers(config(RECURRENT, CLUSTER)) as experiment:
            for _ in range(2):
                experiment.iterate()
            states.append(experiment.state_dict())
    assert_same_bits(states[0], states[1])


def test_workers_and_environments_must_fit() -> None:
    with pytest.raises(ValueError, match=r"cluster.workers=6 exceeds env.count=5"):
        config({"cluster": {"workers": 6}})
    with pytest.raises(ValueError, match=r"env.processes and cluster.workers"):
        config(CLUSTER, {"env": {"processes": 2}})
