"""Data parallelism and gradient accumulation: both train what one process with whole minibatches trains."""

from pathlib import Path
from typing import Any

import pytest
import torch

from agents.ppo.actors import make_environments
from agents.ppo.experiment import PPO
from agents.ppo.learner import Learner
from agents.ppo.learner_rank import LearnerRank
from lab.run import checkpoint
from lab.run.data_parallel import RankZero, follow
from lab.train.collectives import ranks
from tests.agents import small_ppo
from tests.agents.ppo.five_environments import DEVICE, RECURRENT, config
from tests.ranked import alone_and_in_ranks
from tests.same_run import assert_same_bits

CASES: dict[str, dict[str, Any]] = {
    "separate": {},
    "shared, accumulated": {"network": {"shared": True}, "learner": {"micro_batch": 5}},
    "minibatches of unequal size": {"learner": {"minibatch": 7}},
    "stopped by the divergence": {"learner": {"target_kl": 1e-4, "epochs": 20, "updates_per_iteration": 2}},
    "muon": {"learner": {"optimizer": "muon"}},
    "recurrent": RECURRENT,
    "a sequence each": RECURRENT | {"learner": {"sequence_length": 6, "minibatch": 6}},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every experiment has become by itself and in two ranks."""
    folder = tmp_path_factory.mktemp("trained")
    alone_and_in_ranks(2, _train_all, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_ranks_train_what_one_process_trains(name: str, trained: Path) -> None:
    alone, first, second = (checkpoint.load(trained / f"{name}, {of}")[0] for of in ("0 of 1", "0 of 2", "1 of 2"))
    for learner in (first["learner"], second["learner"]):
        learner["trained"] = {key: value for key, value in learner["network"].items() if "normalizer" not in key}
    # The observations of a rollout are normalised by rank 0.
    assert_same_bits(first["learner"] | {"network": {}}, second["learner"] | {"network": {}})
    # Adam divides by the gradient's size: where that is near zero, rounding moves a weight by a part of a step.
    torch.testing.assert_close(alone["learner"]["network"], first["learner"]["network"], rtol=2e-3, atol=2e-3)
    assert first["metrics"] == pytest.approx(alone["metrics"], rel=1e-3, abs=1e-5)
    if "divergence" in name:
        assert alone["metrics"]["train/epochs"] < 20


@pytest.mark.parametrize("name", ["separate", "shared", "recurrent"])
def test_accumulated_minibatches_train_what_whole_ones_do(name: str) -> None:
    changes = {"shared": {"network": {"shared": True}}, "recurrent": RECURRENT}.get(name, {})
    whole, accumulated = (_experiment(changes, {"learner": {"micro_batch": size}}) for size in (None, 3))
    for _ in range(2):
        one, other = whole.iterate(), accumulated.iterate()
        learned = {key: value for key, value in one.items() if key.startswith(("loss/", "train/"))}
        assert {key: other[key] for key in learned} == pytest.approx(learned, rel=1e-3, abs=1e-5)
    weights = (experiment.learner.network.state_dict() for experiment in (whole, accumulated))
    torch.testing.assert_close(*weights, rtol=2e-3, atol=2e-3)


def _experiment(*changes: dict[str, Any]) -> PPO:
    torch.manual_seed(0)
    settings = config(*changes)
    return small_ppo.in_environments(settings, make_environments(settings))


def _train_all(folder: Path) -> None:
    mine = ranks()
    for name, changes in CASES.items():
        metrics: dict[str, float] = {}
        if mine.is_rank_zero:
            experiment = _experiment(changes)
            learner: Learner = experiment.learner
            with RankZero(experiment) as leading:
                for _ in range(2):
                    metrics = leading.iterate()
        else:
            torch.manual_seed(1)  # its weights come from rank 0
            follower = LearnerRank(config(changes), DEVICE)
            learner = follower.learner
            follow(follower)
        learned = {
            key: value for key, value in metrics.items() if key.startswith(("loss/", "train/", "rollout/return"))
        }
        state = {"learner": learner.state_dict(), "metrics": learned}
        checkpoint.save(folder, state, iteration=0, counters={}, name=f"{name}, {mine.rank} of {mine.size}")
