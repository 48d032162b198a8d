"""Gradients as one vector, and Adam without torch's bookkeeping: the same steps as without."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from lab.train.config import OptimizerConfig
from lab.train.device import Device
from lab.train.step import GradientStep, LossSum

DEVICE = Device(torch.device("cpu"), "fp32", 1)
X = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))


def _step(net: nn.Module, settings: dict[str, Any], flat: bool) -> GradientStep:
    return GradientStep(net, OptimizerConfig.model_validate(settings), DEVICE, flat_gradients=flat)


def _take(step: GradientStep, times: int, micro_batch: int | None = None) -> None:
    for _ in range(times):
        step(
            lambda part: LossSum((step.network(X[part]) - 1.0).square().sum(), part.stop - part.start),
            rows=12,
            learning_rate=0.01,
            micro_batch=micro_batch,
        )


@pytest.mark.parametrize("micro_batch", [None, 5])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "muon"])
def test_steps_are_those_of_single_gradients(optimizer: str, micro_batch: int | None) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    flat = copy.deepcopy(plain)
    settings = {"optimizer": optimizer, "gradient_clip": 0.5, "weight_decay": 0.1}
    for net, flag in ((plain, False), (flat, True)):
        _take(_step(net, settings, flag), 4, micro_batch)
    for ours, theirs in zip(flat.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_loaded_state_continues_bit_for_bit(optimizer: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    step = _step(net, {"optimizer": optimizer}, flat=True)
    _take(step, 3)
    other = copy.deepcopy(net)
    resumed = _step(other, {"optimizer": optimizer}, flat=True)
    _take(resumed, 1)  # has moments of its own, which are replaced
    other.load_state_dict(net.state_dict())
    resumed.load_state_dict(copy.deepcopy(step.state_dict()))
    _take(step, 3)
    _take(resumed, 3)
    assert all(float(state["step"]) == 6 for state in step.state_dict()["state"].values())
    for ours, theirs in zip(other.parameters(), net.parameters(), strict=True):
        assert ours.equal(theirs)
