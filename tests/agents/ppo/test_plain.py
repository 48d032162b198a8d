"""Losses and gradients in closed form are those of autograd, for every family of actions and kind of loss."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from agents.environments.actions import action_spec
from agents.environments.observations import VECTOR, ObservationCodec
from agents.ppo.config import NetworkConfig
from agents.ppo.distributions import make_distribution
from agents.ppo.losses import Coefficients, Targets, losses, losses_and_gradients
from agents.ppo.network import ActorCritic
from agents.ppo.plain import PlainNetwork

ROWS = 40
SPACES: dict[str, tuple[spaces.Space[Any], bool]] = {
    "discrete": (spaces.Discrete(5), False),
    "multi-discrete": (spaces.MultiDiscrete([3, 2, 4]), False),
    "gaussian": (spaces.Box(-1.0, 1.0, (3,), np.float32), False),
    "squashed": (spaces.Box(-2.0, 1.0, (3,), np.float32), True),
}


def _case(name: str, masked: bool, network: NetworkConfig) -> tuple[ActorCritic, Any, Tensor, Targets]:
    """A network, observations and targets far enough from its outputs that every clip binds somewhere."""
    space, squash = SPACES[name]
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(1)
    distribution = make_distribution(action_spec(space), squash)
    model = ActorCritic(ObservationCodec(spaces.Box(-1.0, 1.0, (6,), np.float32)), distribution, network)
    for parameter in (model.policy.weight, model.value.weight):
        torch.nn.init.normal_(parameter, std=0.7)
    x = torch.randn(ROWS, 6, generator=generator)
    mask = None
    if masked:
        mask = torch.rand(ROWS, distribution.outputs, generator=generator) < 0.7
        mask[:, [0, 3, 5] if name == "multi-discrete" else [0]] = True
    with torch.no_grad():
        outputs, values = model({VECTOR: x})
        uniform = torch.rand(ROWS, distribution.noise, generator=generator).clamp(1e-6, 1 - 1e-6)
        actions = distribution.sample(outputs, distribution.random(uniform), mask)
        log_probs, _ = distribution.log_prob_entropy(outputs, actions, mask)
    noise = torch.randn(4, ROWS, generator=generator)
    weight = torch.rand(ROWS, generator=generator)
    targets = Targets(
        mask, actions, log_probs + 0.3 * noise[0], values + noise[1], noise[2], values + noise[3], weight / weight.sum()
    )
    return model, distribution, x, targets


CASES = [(name, masked) for name in SPACES for masked in (False, True) if not masked or "discrete" in name]


@pytest.mark.parametrize(("name", "masked"), CASES)
@pytest.mark.parametrize("clip_value", [None, 0.5])
@pytest.mark.parametrize("entropy_weight", [0.0, 0.1])
def test_gradients_by_outputs_and_values_are_those_of_autograd(
    name: str, masked: bool, clip_value: float | None, entropy_weight: float
) -> None:
    model, distribution, x, targets = _case(name, masked, NetworkConfig())
    outputs, values = (part.detach().requires_grad_() for part in model({VECTOR: x}))
    coefficients = Coefficients(0.2, clip_value, 0.6, entropy_weight)
    expected = losses(distribution, outputs, values, targets, coefficients)
    by_outputs, by_values = torch.autograd.grad(expected.total, [outputs, values])
    found, *gradients = losses_and_gradients(distribution, outputs.detach(), values.detach(), targets, coefficients)
    torch.testing.assert_close(found, type(found)._make(part.detach() for part in expected))
    torch.testing.assert_close(gradients, [by_outputs, by_values], rtol=1e-4, atol=1e-6)
    assert 0.0 < float(found.clip_fraction) < 1.0


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (16,), (16, 8)])
@pytest.mark.parametrize("name", ["discrete", "gaussian"])
def test_gradients_of_parameters_are_those_of_autograd(
    name: str, hidden: tuple[int, ...], activation: Any, shared: bool
) -> None:
    config = NetworkConfig(hidden=hidden, activation=activation, shared=shared)
    model, distribution, x, targets = _case(name, False, config)
    coefficients = Coefficients(0.2, None, 0.5, 0.01)
    other = copy.deepcopy(model)
    outputs, values = other({VECTOR: x})
    losses(distribution, outputs, values, targets, coefficients).total.backward()
    plain = PlainNetwork.of(model)
    assert plain is not None
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)  # gradients are added
    passed = plain.forward({VECTOR: x})
    _, *gradients = losses_and_gradients(distribution, passed.outputs, passed.values, targets, coefficients)
    plain.add_gradients(passed, *gradients)
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None
        torch.testing.assert_close(ours.grad - 1.0, theirs.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain.outputs({VECTOR: x}), model.act({VECTOR: x}))


@pytest.mark.parametrize("settings", [{"activation": "gelu"}, {"recurrent": "gru"}])
def test_other_layers_go_through_autograd(settings: dict[str, Any]) -> None:
    distribution = make_distribution(action_spec(spaces.Discrete(2)), False)
    codec = ObservationCodec(spaces.Box(-1.0, 1.0, (6,), np.float32))
    assert PlainNetwork.of(ActorCritic(codec, distribution, NetworkConfig(**settings))) is None
