"""Adam without torch's bookkeeping, against torch's own steps."""

import copy

import pytest
import torch
from torch import Tensor, nn

from lab.train import fused_adam
from lab.train.config import OptimizerConfig
from lab.train.device import Device
from lab.train.fused_adam import FusedAdam
from lab.train.step import GradientStep, LossTerm

DEVICE = Device(torch.device("cpu"), "fp32", 1)
X = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
# Which of three layers have gradients in each step: a network that grows, fades, and drops a layer.
USED = [[0], [0], [0, 1], [0, 1], [1, 2], [1, 2], [0, 1, 2], [0]]


def _layers() -> nn.ModuleList:
    torch.manual_seed(0)
    return nn.ModuleList(nn.Linear(5, 2) for _ in range(3))


def _loss(layers: nn.ModuleList, used: list[int]) -> Tensor:
    return torch.stack([(layers[at](X) - 1.0).square().mean() for at in used]).sum()


def _take(step: GradientStep, used: list[int]) -> None:
    step(lambda _: LossTerm(_loss(step.network, used), {}), rows=12, learning_rate=0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_parameters_that_come_and_go_are_trained_as_by_torch(optimizer: str) -> None:
    ours, theirs = _layers(), _layers()
    step = GradientStep(ours, OptimizerConfig.model_validate({"optimizer": optimizer, "weight_decay": 0.0}), DEVICE)
    kind = torch.optim.Adam if optimizer == "adam" else torch.optim.AdamW
    settings = step.state_dict()["param_groups"][0]
    betas = settings["betas"]
    own = kind(theirs.parameters(), 0.01, betas, settings["eps"], weight_decay=0.0, fused=True)
    for used in USED:
        _take(step, used)
        own.zero_grad()
        _loss(theirs, used).backward()
        own.step()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert one.equal(two)
    counts = [float(state["step"]) for state in step.state_dict()["state"].values()]
    assert sorted(counts) == [3.0, 3.0, 5.0, 5.0, 6.0, 6.0]


def test_a_loaded_state_continues_bit_for_bit() -> None:
    ours = _layers()
    step = GradientStep(ours, OptimizerConfig(), DEVICE)
    for used in USED[:5]:
        _take(step, used)
    other = copy.deepcopy(ours)
    resumed = GradientStep(other, OptimizerConfig(), DEVICE)
    resumed.load_state_dict(copy.deepcopy(step.state_dict()))
    for used in USED[5:]:
        _take(step, used)
        _take(resumed, used)
    for one, two in zip(ours.parameters(), other.parameters(), strict=True):
        assert one.equal(two)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_this_torch_has_the_kernel(kind: type[torch.optim.Adam]) -> None:
    own = FusedAdam(kind(nn.Linear(5, 2).parameters()))
    assert own._kernel is not None, f"torch {torch.__version__} has another fused {kind.__name__}"


def test_a_kernel_of_other_arguments_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_adam, "_ARGUMENTS", [*fused_adam._ARGUMENTS, "another"])
    assert FusedAdam(torch.optim.Adam(nn.Linear(5, 2).parameters()))._kernel is None
