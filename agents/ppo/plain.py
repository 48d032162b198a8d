"""Actor-critics of plain layers, without the overhead of modules: forward passes, and gradients in closed form.

The networks of most control tasks have a few thousand parameters. Calling their modules, recording a graph and
replaying it takes longer than the matrix products. Results are those of the modules up to rounding; images, recurrent
layers and other activations go through modules and autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.environments.observations import VECTOR
from agents.ppo.network import ActorCritic, Body, Observations
from lab.nets.layers import Linear
from lab.nets.mlp import LinearBlock


class _Activation(NamedTuple):
    """An activation in place, and the gradient by its input from that by its output and the output."""

    apply_: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]


def _relu_gradient(grad_output: Tensor, output: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward(grad_output, output, 0.0)


_ACTIVATIONS = {
    nn.Tanh: _Activation(Tensor.tanh_, torch.ops.aten.tanh_backward),
    nn.ReLU: _Activation(Tensor.relu_, _relu_gradient),
}


class PlainNetwork:
    """The layers of an `ActorCritic` on vectors [B, D] whose hidden layers are linear with tanh or ReLU."""

    def __init__(self, network: ActorCritic) -> None:
        self.shared, self.log_std = network.shared, network.log_std
        self._policy_layers = _hidden_layers(network.body)
        self._value_layers = self._policy_layers if network.shared else _hidden_layers(network.value_body)
        self._policy_head, self._value_head = _layer(network.policy), _layer(network.value)

    @staticmethod
    def of(network: ActorCritic) -> PlainNetwork | None:
        """The plain form of a network; None if it has layers of other kinds."""
        bodies = (network.body, network.value_body)
        if any(body.rnn is not None or body.convolutions for body in bodies):
            return None
        layers = [layer for body in bodies for block in _blocks(body) for layer in block]
        if not all(isinstance(layer, (Linear, *_ACTIVATIONS)) for layer in layers):
            return None
        unscaled = all(layer.weight_scale == layer.bias_scale == 1.0 for layer in layers if isinstance(layer, Linear))
        return PlainNetwork(network) if unscaled else None

    @torch.no_grad()
    def outputs(self, observations: Observations) -> Tensor:
        """`ActorCritic.act` without a graph."""
        return self._outputs(_activations(self._policy_layers, observations[VECTOR])[-1])

    @torch.no_grad()
    def outputs_and_values(self, observations: Observations) -> tuple[Tensor, Tensor]:
        """`ActorCritic.forward` without a graph."""
        passed = self.forward(observations)
        return passed.outputs, passed.values

    @torch.no_grad()
    def forward(self, observations: Observations) -> ForwardPass:
        """Outputs and values of observations with all that `add_gradients` needs."""
        policy_activations = _activations(self._policy_layers, observations[VECTOR])
        value_activations = (
            policy_activations if self.shared else _activations(self._value_layers, observations[VECTOR])
        )
        weight, bias = self._value_head
        return ForwardPass(
            policy_activations,
            value_activations,
            self._outputs(policy_activations[-1]),
            torch.addmv(bias, value_activations[-1], weight[0]),
        )

    @torch.no_grad()
    def add_gradients(self, passed: ForwardPass, grad_outputs: Tensor, grad_values: Tensor) -> None:
        """Add to `grad` of all parameters, which must exist, from gradients by outputs [B, P] and by values [B]."""
        if self.log_std is not None:
            grad_outputs, grad_log_std = grad_outputs.chunk(2, -1)
            _grad(self.log_std).add_(grad_log_std.sum(0))
        grad_policy_features = _through(self._policy_head, passed.policy_activations[-1], grad_outputs)
        grad_value_features = _through(self._value_head, passed.value_activations[-1], grad_values[:, None])
        if self.shared:
            _backward(self._policy_layers, passed.policy_activations, grad_policy_features.add_(grad_value_features))
        else:
            _backward(self._policy_layers, passed.policy_activations, grad_policy_features)
            _backward(self._value_layers, passed.value_activations, grad_value_features)

    def _outputs(self, features: Tensor) -> Tensor:
        weight, bias = self._policy_head
        outputs = torch.addmm(bias, features, weight.t())
        return outputs if self.log_std is None else torch.cat([outputs, self.log_std.expand_as(outputs)], -1)


class ForwardPass(NamedTuple):
    """A forward pass of B rows: inputs and outputs of the hidden layers, outputs [B, P] and values [B]."""

    policy_activations: list[Tensor]
    value_activations: list[Tensor]
    outputs: Tensor
    values: Tensor


_Layer = tuple[Tensor, Tensor]


def _layer(linear: nn.Module) -> _Layer:
    assert isinstance(linear, Linear)
    return linear.weight, linear.bias


def _blocks(body: Body) -> list[LinearBlock]:
    return [block for block in body.hidden.children() if isinstance(block, LinearBlock)]


def _hidden_layers(body: Body) -> list[tuple[_Layer, _Activation]]:
    return [(_layer(block[0]), _ACTIVATIONS[type(block[1])]) for block in _blocks(body)]


def _activations(layers: list[tuple[_Layer, _Activation]], x: Tensor) -> list[Tensor]:
    """The input and the output of every layer."""
    found = [x]
    for (weight, bias), activation in layers:
        found.append(activation.apply_(torch.addmm(bias, found[-1], weight.t())))
    return found


def _backward(layers: list[tuple[_Layer, _Activation]], activations: list[Tensor], grad_output: Tensor) -> None:
    for index in range(len(layers) - 1, -1, -1):
        layer, activation = layers[index]
        grad_linear = activation.gradient(grad_output, activations[index + 1])
        grad_output = _through(layer, activations[index], grad_linear, wanted=index > 0)


def _through(layer: _Layer, inputs: Tensor, grad_outputs: Tensor, wanted: bool = True) -> Tensor:
    """Add the gradients of a linear layer; return the gradient by its inputs if that is wanted."""
    weight, bias = layer
    _grad(weight).addmm_(grad_outputs.t(), inputs)
    _grad(bias).add_(grad_outputs.sum(0))
    return grad_outputs @ weight if wanted else grad_outputs


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
