"""The training step: its gradient is that of the whole batch however it is cut up, its rate a function of a counter."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.errors import CheckpointError
from lab.train.config import FitConfig
from lab.train.device import Device
from lab.train.step import Fit, LossSum, learning_rate

DEVICE = Device(torch.device("cpu"), "fp32", 1)
X = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
Y = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))


def fit(net: nn.Module, **settings: Any) -> Fit:
    defaults = {"batch_size": 12, "learning_rate": 0.1, "weight_decay": 0.0}
    return Fit(net, FitConfig.model_validate(defaults | settings), DEVICE, period=100)


def squares(net: nn.Module, rows: slice) -> LossSum:
    return LossSum((net(X[rows]) - Y[rows]).square().sum(), (rows.stop - rows.start) * 2)


def weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_a_step_is_that_of_a_plain_loop() -> None:
    net, plain = network(), network()
    optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, nesterov=True)
    ours = fit(net, optimizer="sgd", schedule="constant")
    for counter in range(3):
        step = ours.step(counter, lambda rows: squares(net, rows))
        loss = nn.functional.mse_loss(plain(X), Y)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in plain.parameters() if p.grad is not None]).norm()
        optimizer.step()
        torch.testing.assert_close(step, (loss.detach(), norm))
    torch.testing.assert_close(weights(net), weights(plain))


@pytest.mark.parametrize("size", [1, 5, 12])
def test_micro_batches_make_the_same_step(size: int) -> None:
    whole, parts = network(), network()
    one = fit(whole, optimizer="sgd").step(0, lambda rows: squares(whole, rows))
    other = fit(parts, optimizer="sgd", micro_batch=size).step(0, lambda rows: squares(parts, rows))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(weights(whole), weights(parts))


def normed_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))


def test_batch_norms_have_the_statistics_of_their_micro_batch_and_the_gradient_is_the_mean_over_them() -> None:
    net, plain = normed_network(), normed_network()
    optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, nesterov=True)
    step = fit(net, optimizer="sgd", micro_batch=5, schedule="constant").step(0, lambda rows: squares(net, rows))
    loss = sum((plain(X[rows]) - Y[rows]).square().sum() for rows in (slice(0, 5), slice(5, 10), slice(10, 12))) / 24
    assert isinstance(loss, Tensor)
    loss.backward()
    optimizer.step()
    torch.testing.assert_close(step.loss, loss.detach())
    torch.testing.assert_close(net.state_dict(), plain.state_dict())  # running statistics too
    whole = normed_network()
    other = fit(whole, optimizer="sgd", schedule="constant").step(0, lambda rows: squares(whole, rows))
    assert abs(float(other.loss - step.loss)) > 1e-3  # another function of the same weights


def test_a_long_gradient_is_cut_to_its_longest_and_reported_whole() -> None:
    net = network()
    before = weights(net)
    step = fit(net, optimizer="sgd", momentum=0.0, gradient_clip=0.01).step(0, lambda rows: squares(net, rows))
    assert step.gradient_norm > 0.01
    assert (weights(net) - before).norm() == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_frozen_parameters_stay_and_biases_do_not_decay() -> None:
    frozen, learning = nn.Linear(5, 8).requires_grad_(False), nn.Linear(8, 2)
    nn.init.ones_(learning.bias)
    net = nn.Sequential(frozen, learning)
    before = copy.deepcopy(net.state_dict())
    ours = fit(net, optimizer="sgd", momentum=0.0, weight_decay=0.5)
    ours.step(0, lambda rows: LossSum(net(X[rows]).sum() * 0.0, 1.0))  # no slope: only the decay moves anything
    after = net.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {"1.weight"}
    torch.testing.assert_close(after["1.weight"], before["1.weight"] * (1.0 - 0.1 * 0.5))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_fit_goes_on_bit_for_bit(optimizer: str) -> None:
    one = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    first = fit(one, optimizer=optimizer)
    first.step(0, lambda rows: squares(one, rows))
    other = copy.deepcopy(one)
    second = fit(other, optimizer=optimizer)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    first.step(40, lambda rows: squares(one, rows))
    second.step(40, lambda rows: squares(other, rows))
    assert torch.equal(weights(one), weights(other))


OTHERS = {
    "deeper": nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)),
    "wider": nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 2)),
}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("other", OTHERS)
def test_the_optimizer_of_another_network_is_refused(other: str, optimizer: str) -> None:
    trained, net = copy.deepcopy(OTHERS[other]), network()
    theirs = fit(trained, optimizer=optimizer)
    theirs.step(0, lambda rows: squares(trained, rows))
    with pytest.raises(CheckpointError, match="optimizer"):
        fit(net, optimizer=optimizer).load_state_dict(theirs.state_dict())


def test_the_state_of_another_optimizer_is_refused() -> None:
    net = network()
    ours = fit(net, optimizer="sgd")
    ours.step(0, lambda rows: squares(net, rows))
    states: list[dict[str, Any]] = [ours.state_dict(), {"optimizer": {"state": {}, "param_groups": []}}, {}]
    for state in states:
        with pytest.raises(CheckpointError, match="optimizer"):
            fit(net, optimizer="adamw").load_state_dict(state)


@pytest.mark.parametrize(
    ("schedule", "warmup", "rates"),
    [
        ("constant", 0.0, {0.0: 1.0, 0.5: 1.0, 2.0: 1.0}),
        ("constant", 0.5, {0.0: 0.0, 0.25: 0.5, 0.5: 1.0, 1.0: 1.0}),
        ("cosine", 0.0, {0.0: 1.0, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1.0: 0.0, 1.5: 0.0}),
        ("cosine", 0.2, {0.0: 0.0, 0.1: 0.5, 0.2: 1.0, 0.6: 0.5, 1.0: 0.0}),
        ("linear", 0.2, {0.1: 0.5, 0.2: 1.0, 0.4: 0.75, 0.8: 0.25, 1.0: 0.0}),
        ("one-cycle", 0.25, {0.0: 0.04, 0.125: 0.52, 0.25: 1.0, 0.625: 0.5, 1.0: 0.0, 3.0: 0.0}),
    ],
)
def test_the_learning_rate_follows_its_schedule(schedule: str, warmup: float, rates: dict[float, float]) -> None:
    config = FitConfig.model_validate({"learning_rate": 2.0, "schedule": schedule, "warmup": warmup})
    for share, rate in rates.items():
        assert learning_rate(config, share) == pytest.approx(2.0 * rate, abs=1e-12)


def test_a_cycle_without_a_rise_is_refused() -> None:
    with pytest.raises(ValueError, match="warmup"):
        FitConfig(schedule="one-cycle")
