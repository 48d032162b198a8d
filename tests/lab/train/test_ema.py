"""Averaged weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lab.nets.rnn import RNN
from lab.train.ema import EMA, decay_of


def scalar(value: float) -> nn.Linear:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, value)
    return module


def test_average_is_the_closed_form_of_the_updates_alone() -> None:
    values, decay = [3.0, -1.0, 4.0, 2.5], 0.9
    ema = EMA(scalar(100.0), decay)
    for value in values:
        ema.update(scalar(value))
    weights = [decay ** (len(values) - 1 - i) for i in range(len(values))]
    expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert ema.module.get_parameter("weight").item() == pytest.approx(expected, rel=1e-5)
    assert ema.updates == len(values)


def test_without_correction_the_start_counts() -> None:
    ema = EMA(scalar(100.0), 0.9, bias_correction=False)
    ema.update(scalar(1.0))
    ema.update(scalar(2.0))
    expected = 0.9 * (0.9 * 100.0 + 0.1 * 1.0) + 0.1 * 2.0
    assert ema.module.get_parameter("weight").item() == pytest.approx(expected, rel=1e-5)


def test_decay_given_per_update_weighs_each_update() -> None:
    ema = EMA(scalar(100.0))
    for value, decay in [(3.0, 0.5), (5.0, 0.9), (7.0, 0.75)]:
        ema.update(scalar(value), decay)
    weights = [0.5 * 0.9 * 0.75, 0.1 * 0.75, 0.25]
    expected = (3.0 * weights[0] + 5.0 * weights[1] + 7.0 * weights[2]) / sum(weights)
    assert ema.module.get_parameter("weight").item() == pytest.approx(expected, rel=1e-5)


def test_decay_one_changes_nothing() -> None:
    ema = EMA(scalar(100.0))
    ema.update(scalar(1.0), 1.0)
    assert ema.module.get_parameter("weight").item() == 100.0


def test_running_statistics_are_averaged_and_counts_copied() -> None:
    source = nn.BatchNorm1d(2)
    ema = EMA(source, 0.5, bias_correction=False)
    source.get_buffer("running_mean").fill_(4.0)
    source.get_buffer("num_batches_tracked").fill_(9)
    ema.update(source)
    assert torch.equal(ema.module.get_buffer("running_mean"), torch.tensor([2.0, 2.0]))
    assert ema.module.get_buffer("num_batches_tracked") == 9


def test_shared_parameters_move_once_and_stay_shared() -> None:
    first, second = scalar(1.0), nn.Linear(1, 1, bias=False)
    second.weight = first.weight
    source = nn.Sequential(first, second)
    ema = EMA(source, 0.5, bias_correction=False)
    nn.init.constant_(first.weight, 3.0)
    ema.update(source)
    assert ema.module.get_parameter("0.weight").item() == 2.0
    assert ema.module.get_parameter("1.weight") is ema.module.get_parameter("0.weight")


def test_source_is_neither_aliased_nor_changed() -> None:
    source = scalar(1.0)
    ema = EMA(source, 0.5)
    ema.update(source)
    nn.init.constant_(source.weight, 2.0)
    assert ema.module.get_parameter("weight").item() == 1.0
    assert source.weight.requires_grad and not ema.module.get_parameter("weight").requires_grad


def test_restored_average_continues_bit_for_bit() -> None:
    torch.manual_seed(0)
    source = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    steps = [copy.deepcopy(source).requires_grad_(False) for _ in range(6)]
    for step in steps:
        for parameter in step.parameters():
            parameter.normal_()
    straight, first = EMA(source), EMA(source)
    for step in steps:
        straight.update(step)
    for step in steps[:3]:
        first.update(step)
    resumed = EMA(source)
    resumed.load_state_dict(copy.deepcopy(first.state_dict()))
    for step in steps[3:]:
        resumed.update(step)
    assert resumed.updates == 6
    for name, tensor in straight.module.state_dict().items():
        assert torch.equal(tensor, resumed.module.state_dict()[name])


def test_average_of_a_recurrent_network_runs() -> None:
    source, x = RNN(3, 4), torch.randn(2, 5, 3)
    ema = EMA(source)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.mul_(2.0)
    ema.update(source)
    torch.testing.assert_close(ema.module(x)[0], source(x)[0])


def test_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="bias"):
        EMA(nn.Linear(1, 1)).update(scalar(1.0))


@pytest.mark.parametrize("batch_size", [1, 16, 1000])
def test_after_a_half_life_of_samples_the_start_counts_half(batch_size: int) -> None:
    ema = EMA(scalar(1.0), bias_correction=False)
    for _ in range(2000 // batch_size):
        ema.update(scalar(0.0), decay_of(2000, batch_size))
    assert float(next(ema.module.parameters())) == pytest.approx(0.5, rel=1e-4)


def test_parameters_that_did_not_change_are_left_out() -> None:
    source = nn.Linear(2, 2)
    every, some = EMA(source, bias_correction=False), EMA(source, bias_correction=False)
    with torch.no_grad():
        source.bias.add_(1.0)
    before = some.module.weight._version
    every.update(source)
    some.update(source, changed={"bias"})
    assert some.module.weight._version == before
    for one, other in zip(every.module.parameters(), some.module.parameters(), strict=True):
        assert torch.equal(one, other)
