"""Minibatches of an update: their sizes, their advantages, and the precision in which they are computed."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from agents.ppo.actors import make_environments
from agents.ppo.experiment import PPO
from agents.ppo.learner import minibatch_count
from agents.ppo.losses import losses
from lab.train.device import Device
from tests.agents import small_ppo
from tests.agents.ppo.five_environments import DEVICE, RECURRENT, config


def _experiment(*changes: dict[str, Any], device: Device = DEVICE) -> PPO:
    torch.manual_seed(0)
    settings = config(*changes)
    return small_ppo.in_environments(settings, make_environments(settings), device)


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The targets that the losses of recurrent networks are given, in order."""
    seen: list[Any] = []

    def recorded(*arguments: Any) -> Any:
        seen.append(arguments[3])
        return losses(*arguments)

    monkeypatch.setattr("agents.ppo.learner.losses", recorded)
    return seen


def test_advantages_are_normalised_where_a_minibatch_is_one_sequence(targets: list[Any]) -> None:
    experiment = _experiment(RECURRENT, {"learner": {"minibatch": 6, "epochs": 1}})
    experiment.iterate()
    assert len(targets) == 10
    for minibatch in targets:
        assert minibatch.advantages.shape == (1, 6)
        assert float(minibatch.advantages.mean()) == pytest.approx(0.0, abs=1e-5)
        assert float(minibatch.advantages.std(correction=0)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("rows", "size", "count"), [(512, 256, 2), (512, 512, 1), (257, 256, 1), (600, 256, 2), (3, 256, 1), (60, 7, 9)]
)
def test_an_epoch_has_as_many_minibatches_as_whole_ones_come_nearest_to(rows: int, size: int, count: int) -> None:
    assert minibatch_count(rows, size) == count


def test_minibatches_are_of_nearly_equal_size(targets: list[Any]) -> None:
    _experiment(RECURRENT, {"learner": {"sequence_length": 3, "minibatch": 21, "epochs": 1}}).iterate()
    assert [len(minibatch.advantages) for minibatch in targets] == [7, 7, 6]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("changes", [{}, RECURRENT, {"network": {"activation": "gelu"}}], ids=["plain", "lstm", "gelu"])
def test_the_ratio_is_1_before_the_first_step(changes: dict[str, Any], precision: Any) -> None:
    """On whatever device: the learner computes what the actors have computed."""
    experiment = _experiment(
        changes,
        {"learner": {"minibatch": 1000, "epochs": 1}, "normalize": {"observations": False}},
        device=Device(DEVICE.device, precision, 1),
    )
    torch.nn.init.normal_(experiment.learner.network.policy.weight)
    metrics = experiment.iterate()
    assert metrics["train/kl"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["train/clip_fraction"] == 0.0


def test_ppo_computes_in_fp32() -> None:
    assert config().precision == "fp32"
    assert config({"precision": "auto"}).precision == "fp32"
    with pytest.raises(ValidationError, match="PPO computes in fp32; leave precision=bf16 out"):
        config({"precision": "bf16"})


def test_metrics_are_means_over_the_updates_of_an_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = _experiment({"learner": {"updates_per_iteration": 3}})
    update, each = experiment.learner.update, []

    def recorded(*arguments: Any) -> dict[str, float]:
        each.append(update(*arguments))
        return dict(each[-1])

    monkeypatch.setattr(experiment.learner, "update", recorded)
    metrics = experiment.iterate()
    assert len(each) == 3
    for name in ("loss/total", "train/kl", "train/entropy", "train/explained_variance", "train/epochs"):
        assert metrics[name] == pytest.approx(np.mean([one[name] for one in each]))
    assert metrics["train/steps"] == each[-1]["train/steps"]
    assert metrics["train/learning_rate"] == each[-1]["train/learning_rate"]
