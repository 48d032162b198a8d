"""A neuron, a forward pass and the cost, with every sum written out.

Three neurons with weights set by hand compute exclusive or, which no single neuron can (Goodfellow et al. 2016, "Deep
Learning", section 6.1). The lab's own network with the same weights gives the same numbers:

    python examples/forward_pass.py
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from lab.nets.mlp import MLP


class Neuron(NamedTuple):
    """One weight for each input, a bias, and whether the weighted sum is cut off at 0 (ReLU)."""

    weights: tuple[float, ...]
    bias: float
    relu: bool = True


Network = tuple[tuple[Neuron, ...], ...]  # layers of neurons, the first one beside the inputs

XOR: Network = (
    (Neuron((1, 1), 0), Neuron((1, 1), -1)),  # how many inputs are 1; how many beyond the first
    (Neuron((1, -2), 0, relu=False),),
)
EXAMPLES = (((0, 0), 0), ((0, 1), 1), ((1, 0), 1), ((1, 1), 0))  # inputs, and the output that is wanted


def activation(neuron: Neuron, inputs: Sequence[float]) -> float:
    """The weighted sum of the inputs plus the bias, then the activation function."""
    total = sum(w * x for w, x in zip(neuron.weights, inputs, strict=True)) + neuron.bias
    return max(0, total) if neuron.relu else total


def forward(network: Network, inputs: Sequence[float]) -> list[tuple[float, ...]]:
    """Activations layer by layer, each computed from those before it. The last ones are the output."""
    layers = [tuple(inputs)]
    for neurons in network:
        layers.append(tuple(activation(neuron, layers[-1]) for neuron in neurons))
    return layers[1:]


def cost(network: Network) -> float:
    """Mean squared error over the examples: 0 if every output is the one that is wanted."""
    errors = [forward(network, inputs)[-1][0] - wanted for inputs, wanted in EXAMPLES]
    return sum(error**2 for error in errors) / len(errors)


def turned(network: Network, weight: float) -> Network:
    """The network with another weight from the second hidden neuron to the output."""
    return (network[0], (network[1][0]._replace(weights=(network[1][0].weights[0], weight)),))


def as_mlp(network: Network) -> MLP:
    """The lab's multilayer perceptron with the weights and biases of two layers."""
    hidden, outputs = network
    net = MLP(len(hidden[0].weights), [len(hidden)], len(outputs))
    weights = [torch.tensor([n.weights for n in layer], dtype=torch.float32) for layer in network]
    biases = [torch.tensor([n.bias for n in layer], dtype=torch.float32) for layer in network]
    names = ("hidden0.linear", "out")
    state = {f"{name}.weight": weight for name, weight in zip(names, weights, strict=True)}
    net.load_state_dict(state | {f"{name}.bias": bias for name, bias in zip(names, biases, strict=True)})
    return net


def main() -> None:
    neuron, inputs = XOR[0][1], (1, 1)
    sums = " + ".join(f"{w} x {x}" for w, x in zip(neuron.weights, inputs, strict=True))
    print(f"one neuron: ReLU({sums} + ({neuron.bias})) = {activation(neuron, inputs)}")
    print("\ninputs  hidden layer  output  wanted")
    for inputs, wanted in EXAMPLES:
        hidden, output = forward(XOR, inputs)
        print(f"{inputs!s:8}{hidden!s:14}{output[0]!s:8}{wanted}")
    with torch.no_grad():
        answers = as_mlp(XOR)(torch.tensor([inputs for inputs, _ in EXAMPLES], dtype=torch.float32))[:, 0]
    print(f"\nthe same network of the lab: {answers.tolist()}")
    print("\nthe cost, while one weight turns and all others stay:")
    for weight in (-3.0, -2.5, -2.0, -1.5, -1.0):
        print(f"  weight {weight:4}  cost {cost(turned(XOR, weight)):.4f}")


if __name__ == "__main__":
    main()
