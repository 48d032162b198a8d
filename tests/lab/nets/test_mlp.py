"""Multilayer perceptrons and the initialisation policies of their layers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from lab.errors import UserError
from lab.nets.init import EQUALIZED, HE, Init
from lab.nets.layers import Conv2d, Linear, activation_layer
from lab.nets.mlp import MLP


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_parameter_count_is_the_closed_form(norm: str) -> None:
    network = MLP(5, [7, 11], 3, norm=norm)
    bias_or_affine = 1 if norm == "none" else 2  # a norm has weight and bias, and its layer no bias
    hidden = 5 * 7 + bias_or_affine * 7 + 7 * 11 + bias_or_affine * 11
    assert parameters(network) == hidden + 11 * 3 + 3
    assert network(torch.randn(4, 5)).shape == (4, 3)


def test_without_output_layer_the_last_activations_come_out() -> None:
    output = MLP(5, [7, 11], None)(torch.randn(64, 5))
    assert output.shape == (64, 11) and output.min() == 0.0


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    network, x = MLP(5, [64], 3, dropout=0.5), torch.randn(4, 5)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("init", [HE, EQUALIZED])
def test_overfits_one_batch(norm: str, init: Init) -> None:
    torch.manual_seed(0)
    network = MLP(6, [32, 32], 4, norm=norm, init=init)
    x, target = torch.randn(16, 6), torch.randint(4, (16,))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(150):
        loss = functional.cross_entropy(network(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_exported_network_computes_the_same() -> None:
    network, x = MLP(6, [8], 4, norm="batch").eval(), torch.randn(3, 6)
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x), network(x))


def test_he_weights_have_variance_two_over_fan_in() -> None:
    torch.manual_seed(0)
    linear, conv = Linear(300, 400), Conv2d(30, 400, 3)
    assert linear.weight.var().item() == pytest.approx(2 / 300, rel=0.02)
    assert conv.weight.var().item() == pytest.approx(2 / (30 * 9), rel=0.02)
    assert linear.weight_scale == 1.0 and linear.bias.abs().max() == 0.0


def test_equalized_weights_are_standard_normal_and_scaled_at_run_time() -> None:
    torch.manual_seed(0)
    layer, x = Linear(300, 400, init=EQUALIZED), torch.randn(8, 300)
    assert layer.weight.var().item() == pytest.approx(1.0, rel=0.02)
    torch.testing.assert_close(layer(x), x @ layer.weight.T * math.sqrt(2 / 300), rtol=1e-4, atol=1e-4)


def test_lr_multiplier_scales_weight_and_bias_steps_but_not_the_function() -> None:
    torch.manual_seed(0)
    slow = Linear(300, 400, init=Init(runtime=True, lr_multiplier=0.01))
    assert slow.weight.std().item() == pytest.approx(100.0, rel=0.02)
    with torch.no_grad():
        slow.bias.fill_(5.0)
    torch.testing.assert_close(slow(torch.zeros(1, 300)), torch.full((1, 400), 0.05))
    assert slow(torch.randn(64, 300)).std().item() == pytest.approx(math.sqrt(2), rel=0.05)


def test_mistakes_name_the_choices() -> None:
    with pytest.raises(UserError, match="batch, layer or none"):
        MLP(2, [2], 2, norm="instance")
    with pytest.raises(UserError, match="relu, leaky_relu"):
        activation_layer("swish")
    with pytest.raises(UserError, match="runtime"):
        Init(lr_multiplier=0.1)
