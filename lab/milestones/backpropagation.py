"""Backpropagation (Rumelhart, Hinton and Williams 1986): gradients against differences, and exclusive or."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lab.milestones.report import Finding, Report
from lab.nets.cnn import CNN
from lab.nets.mlp import MLP
from lab.nets.rnn import ManyToOne
from lab.nets.seq2seq import Attention, Memory
from lab.plots.figures import Curve, Plot, plot

_STEP = 1e-5  # of the differences, in float64
_STARTS = 100
_EPOCHS = 3000
_RATE, _MOMENTUM = 0.5, 0.9  # as in the article's experiments
_HIDDEN = (2, 4, 8)
_EVERY = 10  # epochs between points of the curves
_LEARNED = 0.5  # an output counts as right on its side of one half


@dataclass(frozen=True)
class Layers:
    """S networks with one hidden layer: weights [S, in + 1, hidden] and [S, hidden + 1, 1], the last row the bias."""

    hidden: Tensor
    output: Tensor


@dataclass(frozen=True)
class Pass:
    """Mean squared errors [S], outputs [S, N, 1], and the gradients of the summed squared error over two."""

    errors: Tensor
    outputs: Tensor
    gradients: Layers


def forward_backward(layers: Layers, x: Tensor, targets: Tensor) -> Pass:
    """The generalised delta rule for logistic units (1986, equations 4 to 7).

    x: [N, in]; targets: [N, 1]. The error derivative of a unit's input is that of its output times y (1 - y), and that
    of a unit's output is the sum over the units above, each times the weight.
    """
    x = _with_bias(x.expand(len(layers.hidden), -1, -1))
    hidden = (x @ layers.hidden).sigmoid()
    outputs = (_with_bias(hidden) @ layers.output).sigmoid()
    at_output = (outputs - targets) * outputs * (1.0 - outputs)
    at_hidden = (at_output @ layers.output[:, :-1].mT) * hidden * (1.0 - hidden)
    gradients = Layers(x.mT @ at_hidden, _with_bias(hidden).mT @ at_output)
    return Pass(((outputs - targets) ** 2).mean((1, 2)), outputs, gradients)


def random_layers(inputs: int, hidden: int, *, starts: int, generator: torch.Generator) -> Layers:
    """Networks with weights uniform in [-1, 1]."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) * 2.0 - 1.0

    return Layers(uniform(starts, inputs + 1, hidden), uniform(starts, hidden + 1, 1))


def learn(layers: Layers, x: Tensor, targets: Tensor) -> tuple[Layers, Tensor]:
    """Networks after gradient descent with momentum on all examples, and their errors every 10 epochs [points, S]."""
    speeds = Layers(torch.zeros_like(layers.hidden), torch.zeros_like(layers.output))
    errors = []
    for epoch in range(_EPOCHS):
        done = forward_backward(layers, x, targets)
        if epoch % _EVERY == 0:
            errors.append(done.errors)
        speeds = Layers(
            _MOMENTUM * speeds.hidden - _RATE * done.gradients.hidden,
            _MOMENTUM * speeds.output - _RATE * done.gradients.output,
        )
        layers = Layers(layers.hidden + speeds.hidden, layers.output + speeds.output)
    return layers, torch.stack(errors)


def gradient_error(function: Callable[[], Tensor], parameters: Sequence[Tensor]) -> float:
    """Relative distance of backpropagated gradients of a scalar function from central differences.

    The distance of the two vectors over the sum of their lengths; parameters are float64 and are changed in place
    meanwhile, one element at a time.
    """
    exact = torch.cat([one.flatten() for one in torch.autograd.grad(function(), parameters)])
    differences = []
    with torch.no_grad():
        for parameter in parameters:
            flat = parameter.view(-1)
            for index in range(len(flat)):
                value = flat[index].item()
                flat[index] = value + _STEP
                above = function()
                flat[index] = value - _STEP
                below = function()
                flat[index] = value
                differences.append((above - below) / (2.0 * _STEP))
    numeric = torch.stack(differences)
    return float((exact - numeric).norm() / (exact.norm() + numeric.norm()))


def checked_cores(generator: torch.Generator) -> dict[str, float]:
    """Gradient errors of the core networks of `lab.nets`, small and with smooth activations."""

    def data(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    images, series = data(3, 2, 6, 6), data(3, 5, 2)
    networks: dict[str, tuple[nn.Module, Tensor]] = {
        "MLP": (MLP(3, [4, 3], 2, activation="tanh", norm="layer"), data(5, 3)),
        "CNN": (CNN(2, [3, 4], 2, activation="silu", norm="batch"), images),
        "LSTM": (ManyToOne(2, 3, 2, cell="lstm"), series),
        "GRU, two directions": (ManyToOne(2, 3, 2, cell="gru", bidirectional=True), series),
    }
    errors = {}
    for name, (network, x) in networks.items():
        errors[name] = gradient_error(partial(_scalar, network.double(), x), list(network.parameters()))
    attention, memory = Attention(4, 3).double(), Memory(data(2, 5, 3), None)
    errors["attention"] = gradient_error(partial(_scalar, attention, data(2, 3, 4), memory), [*attention.parameters()])
    return errors


def run(seed: int, line: Callable[[str], None]) -> Report:
    """Gradient checks of the core networks; 100 starts of networks that learn exclusive or."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    targets = (x.sum(1, keepdim=True) == 1.0).double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        errors = checked_cores(generator)
    by_hand = _delta_rule_error(x, targets, generator)
    line(f"largest relative error of a gradient: {max(*errors.values(), by_hand):.1g}")
    learned, curves = {}, []
    for hidden in _HIDDEN:
        start = random_layers(2, hidden, starts=_STARTS, generator=generator)
        layers, history = learn(start, x, targets)
        outputs = forward_backward(layers, x, targets).outputs
        learned[hidden] = int(((outputs > _LEARNED) == (targets > _LEARNED)).all(2).all(1).sum())
        line(f"{hidden} hidden units: {learned[hidden]} of {_STARTS} starts learn exclusive or")
        epochs = [float(epoch) for epoch in range(0, _EPOCHS, _EVERY)]
        curves.append(Curve(f"{hidden} hidden units", epochs, history.mean(1).tolist()))
    findings = (
        *(
            Finding(f"gradient check, {name}", "under 1e-6", f"{error:.1g}", error < 1e-6)
            for name, error in errors.items()
        ),
        Finding("gradient check, delta rule by hand", "under 1e-6", f"{by_hand:.1g}", by_hand < 1e-6),
        Finding(
            "starts that learn exclusive or, 2 hidden units",
            "most; some end in local minima",
            f"{learned[2]} of {_STARTS}",
            learned[2] > _STARTS // 2,
        ),
        Finding(
            "starts that learn exclusive or, 8 hidden units",
            "nearly all",
            f"{learned[8]} of {_STARTS}",
            learned[8] >= 95,
        ),
    )
    shown = Plot(curves, f"Exclusive or: mean of {_STARTS} starts", "epoch", "mean squared error", log_y=True)
    notes = ("A relative error is the distance of the two gradients over the sum of their lengths, in float64.",)
    return Report(findings, plot(shown), notes)


def _scalar(network: nn.Module, *inputs: Tensor | Memory) -> Tensor:
    return network(*inputs).square().sum()


def _delta_rule_error(x: Tensor, targets: Tensor, generator: torch.Generator) -> float:
    """Distance of the delta rule from central differences, over the sum of their lengths."""
    layers = random_layers(2, 3, starts=1, generator=generator)
    parameters = [layers.hidden.requires_grad_(), layers.output.requires_grad_()]

    def half_squared_error() -> Tensor:
        return forward_backward(layers, x, targets).errors.sum() * (0.5 * len(x))

    error = gradient_error(half_squared_error, parameters)
    exact = torch.autograd.grad(half_squared_error(), parameters)
    with torch.no_grad():
        gradients = forward_backward(layers, x, targets).gradients
        ours = torch.cat([gradients.hidden.flatten(), gradients.output.flatten()])
        theirs = torch.cat([one.flatten() for one in exact])
        return error + float((ours - theirs).norm() / (ours.norm() + theirs.norm()))


def _with_bias(x: Tensor) -> Tensor:
    """[S, N, features] -> [S, N, features + 1]: a constant input of 1."""
    return torch.cat([x, torch.ones_like(x[:, :, :1])], 2)
