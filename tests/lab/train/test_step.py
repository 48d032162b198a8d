"""The gradient step: that of the whole batch, however it is divided into micro-batches."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.errors import CheckpointError
from lab.train.config import OptimizerConfig
from lab.train.device import Device
from lab.train.step import GradientStep, LossSum, LossTerm, StepResult, mean_of

DEVICE = Device(torch.device("cpu"), "fp32", 1)
X = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
Y = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))


def gradient_step(net: nn.Module, **settings: Any) -> GradientStep:
    return GradientStep(net, OptimizerConfig.model_validate({"weight_decay": 0.0} | settings), DEVICE)


def take(step: GradientStep, losses: Callable[[nn.Module, slice], Any], micro_batch: int | None = None) -> StepResult:
    return step(lambda part: losses(step.network, part), rows=12, learning_rate=0.1, micro_batch=micro_batch)


def squares(net: nn.Module, rows: slice) -> LossSum:
    return LossSum((net(X[rows]) - Y[rows]).square().sum(), (rows.stop - rows.start) * 2)


def mean_square(net: nn.Module, rows: slice) -> LossTerm:
    """The same loss, as a share of the mean over 12 rows."""
    share, outputs = (rows.stop - rows.start) / 12, net(X[rows])
    return LossTerm((outputs - Y[rows]).square().mean() * share, {"output": outputs.mean() * share})


def weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize("losses", [squares, mean_square])
def test_a_step_is_that_of_a_plain_loop(losses: Any) -> None:
    net, plain = network(), network()
    optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, nesterov=True)
    ours = gradient_step(net, optimizer="sgd")
    for _ in range(3):
        step = take(ours, losses)
        loss = nn.functional.mse_loss(plain(X), Y)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in plain.parameters() if p.grad is not None]).norm()
        optimizer.step()
        torch.testing.assert_close(step[:2], (loss.detach(), norm))
    torch.testing.assert_close(weights(net), weights(plain))


@pytest.mark.parametrize("losses", [squares, mean_square])
@pytest.mark.parametrize("size", [1, 5, 12])
def test_micro_batches_make_the_same_step(size: int, losses: Any) -> None:
    whole, parts = network(), network()
    one = take(gradient_step(whole, optimizer="sgd"), losses)
    other = take(gradient_step(parts, optimizer="sgd"), losses, micro_batch=size)
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(weights(whole), weights(parts))


def test_statistics_are_means_over_the_batch() -> None:
    net = network()
    expected = net(X).mean().detach()
    for micro_batch in (None, 5):
        statistics = take(gradient_step(copy.deepcopy(net)), mean_square, micro_batch).statistics
        torch.testing.assert_close(statistics, {"output": expected})
        assert not statistics["output"].requires_grad


def test_two_networks_of_one_game_take_steps_of_their_own() -> None:
    generator, discriminator = nn.Linear(3, 5), nn.Linear(5, 1)
    latents = torch.randn(12, 3, generator=torch.Generator().manual_seed(2))

    def score(sign: float, rows: slice) -> LossTerm:
        mean = discriminator(generator(latents[rows])).mean() * ((rows.stop - rows.start) / 12)
        return LossTerm(sign * mean, {"score": mean})

    steps = {net: gradient_step(net, optimizer="adam", beta1=0.0, beta2=0.99) for net in (generator, discriminator)}
    for net, sign in ((discriminator, 1.0), (generator, -1.0)):
        before = {other: weights(other) for other in steps}
        steps[net](partial(score, sign), rows=12, learning_rate=0.01, micro_batch=8)
        assert [torch.equal(weights(other), before[other]) for other in steps] == [other is not net for other in steps]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_a_reset_forgets_the_moments(optimizer: str) -> None:
    net = network()
    step = gradient_step(net, optimizer=optimizer)
    first = copy.deepcopy(net)
    take(step, squares)
    net.load_state_dict(first.state_dict())
    take(step, squares)  # with moments
    with_moments = weights(net)
    net.load_state_dict(first.state_dict())
    net.requires_grad_(False)  # as a discriminator is while the generator takes its step
    step.reset()
    net.requires_grad_(True)
    take(step, squares)
    fresh = weights(net)
    take(gradient_step(first, optimizer=optimizer), squares)
    assert torch.equal(fresh, weights(first)) and not torch.equal(fresh, with_moments)


def normed_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))


def test_batch_norms_have_the_statistics_of_their_micro_batch_and_the_gradient_is_the_mean_over_them() -> None:
    net, plain = normed_network(), normed_network()
    optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, nesterov=True)
    step = take(gradient_step(net, optimizer="sgd"), squares, micro_batch=5)
    loss = sum((plain(X[rows]) - Y[rows]).square().sum() for rows in (slice(0, 5), slice(5, 10), slice(10, 12))) / 24
    assert isinstance(loss, Tensor)
    loss.backward()
    optimizer.step()
    torch.testing.assert_close(step.loss, loss.detach())
    torch.testing.assert_close(net.state_dict(), plain.state_dict())  # running statistics too
    whole = normed_network()
    other = take(gradient_step(whole, optimizer="sgd"), squares)
    assert abs(float(other.loss - step.loss)) > 1e-3  # another function of the same weights


def test_a_long_gradient_is_cut_to_its_longest_and_reported_whole() -> None:
    net = network()
    before = weights(net)
    step = take(gradient_step(net, optimizer="sgd", momentum=0.0, gradient_clip=0.01), squares)
    assert step.gradient_norm > 0.01
    assert (weights(net) - before).norm() == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_frozen_parameters_stay_and_biases_do_not_decay() -> None:
    frozen, learning = nn.Linear(5, 8).requires_grad_(False), nn.Linear(8, 2)
    nn.init.ones_(learning.bias)
    net = nn.Sequential(frozen, learning)
    before = copy.deepcopy(net.state_dict())
    step = gradient_step(net, optimizer="sgd", momentum=0.0, weight_decay=0.5)
    take(step, lambda net, rows: LossSum(net(X[rows]).sum() * 0.0, 1.0))  # no slope: only the decay moves anything
    after = net.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {"1.weight"}
    torch.testing.assert_close(after["1.weight"], before["1.weight"] * (1.0 - 0.1 * 0.5))


OTHERS = {
    "deeper": nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)),
    "wider": nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 2)),
}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize("other", OTHERS)
def test_the_optimizer_of_another_network_is_refused(other: str, optimizer: str) -> None:
    trained, net = copy.deepcopy(OTHERS[other]), network()
    theirs = gradient_step(trained, optimizer=optimizer)
    take(theirs, squares)
    with pytest.raises(CheckpointError, match="optimizer"):
        gradient_step(net, optimizer=optimizer).load_state_dict(theirs.state_dict())


def test_the_state_of_another_optimizer_is_refused() -> None:
    net = network()
    ours = gradient_step(net, optimizer="sgd")
    take(ours, squares)
    states: list[dict[str, Any]] = [ours.state_dict(), {"state": {}, "param_groups": []}, {}]
    for state in states:
        with pytest.raises(CheckpointError, match="optimizer"):
            gradient_step(net, optimizer="adamw").load_state_dict(state)


def test_the_mean_of_steps_is_that_of_each_value() -> None:
    steps = [
        StepResult(torch.tensor(one), torch.tensor(2.0 * one), {"b": torch.tensor(3.0), "a": torch.tensor(-one)})
        for one in (1.0, 2.0, 6.0)
    ]
    found = mean_of(steps)
    assert (float(found.loss), float(found.gradient_norm)) == (3.0, 6.0)
    assert {name: float(value) for name, value in found.statistics.items()} == {"b": 3.0, "a": -3.0}
    assert mean_of([step._replace(statistics={}) for step in steps]).statistics == {}
