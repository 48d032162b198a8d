"""The mixing console: what one weight of a network does to its cost.

A network is a console with one knob for each weight and bias. Training stops half way, all knobs but one are held, and
that one is turned through a wide range. The slope that backpropagation gives is the tangent of this curve. One step of
gradient descent turns the knob against the slope:

    python examples/mixing_console.py --out console.png
    python examples/mixing_console.py --rate 0.5    # a short step
    python examples/mixing_console.py --knob 1205   # another knob
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from lab.errors import UserError
from lab.nets.mlp import MLP
from lab.plots.figures import Curve, Plot, plots
from lab.plots.images import save_png

REACH = 4.0  # the knob is turned so far both ways
SMALL = 1e-5  # and so far for its slope without backpropagation


class Console:
    """A network of 64 pixels, 16 hidden units and 10 digits in double precision, whose K knobs stand in one vector."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        digits = load_digits()
        self.images = torch.from_numpy(digits.data) / 16.0  # [N, 64] in [0, 1]
        self.labels = torch.from_numpy(digits.target).long()
        self.net = MLP(64, [16], 10, activation="tanh").double()
        self.shapes = {name: tensor.shape for name, tensor in self.net.named_parameters()}
        self.knobs = parameters_to_vector(self.net.parameters()).detach()

    def names(self) -> list[str]:
        """The name of every knob: its layer and its place in the weights or biases."""
        return [f"{name}{list(place)}" for name, shape in self.shapes.items() for place in np.ndindex(*shape)]

    def cost(self, knobs: Tensor) -> Tensor:
        """Mean cross-entropy over all images, in nats, with the knobs [K] at these settings."""
        return cross_entropy(self._outputs(knobs), self.labels)

    def gradient(self, knobs: Tensor) -> Tensor:
        """The slope of the cost along every knob [K], by one pass of backpropagation."""
        knobs = knobs.clone().requires_grad_()
        return torch.autograd.grad(self.cost(knobs), knobs)[0]

    def accuracy(self, knobs: Tensor) -> float:
        """Share of the images that are recognised."""
        return float((self._outputs(knobs).argmax(1) == self.labels).double().mean())

    def _outputs(self, knobs: Tensor) -> Tensor:
        parts = knobs.split([shape.numel() for shape in self.shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}
        return functional_call(self.net, weights, (self.images,))


class Turn(NamedTuple):
    """One knob: its setting, the curve of costs over `settings`, its slope found in two ways, and its setting after one
    step of gradient descent."""

    setting: float
    cost: float
    settings: list[float]
    costs: list[float]
    slope: float
    slope_by_turning: float
    stepped: float
    stepped_cost: float

    def tangent(self, setting: float) -> float:
        """The cost that the slope alone promises."""
        return self.cost + self.slope * (setting - self.setting)


def descend(console: Console, steps: int, learning_rate: float) -> list[float]:
    """Gradient descent on all images and all knobs at once. Returns the cost before each step and after the last."""
    costs = [float(console.cost(console.knobs))]
    for step in range(steps):
        if step % 10 == 0:
            report(console, step)
        console.knobs = console.knobs - learning_rate * console.gradient(console.knobs)
        costs.append(float(console.cost(console.knobs)))
    report(console, steps)
    return costs


def report(console: Console, step: int) -> None:
    cost, accuracy = float(console.cost(console.knobs)), console.accuracy(console.knobs)
    print(f"step {step:3}  cost {cost:.4f}  {accuracy:.1%} of the digits recognised")


def turn(console: Console, knob: int, rate: float) -> Turn:
    """Turn one knob and hold all others; rate: learning rate of its step."""

    def cost_at(setting: float) -> float:
        knobs = console.knobs.clone()
        knobs[knob] = setting
        return float(console.cost(knobs))

    setting = float(console.knobs[knob])
    settings = np.linspace(setting - REACH, setting + REACH, 81).tolist()
    slope = float(console.gradient(console.knobs)[knob])
    stepped = setting - rate * slope
    return Turn(
        setting=setting,
        cost=cost_at(setting),
        settings=settings,
        costs=[cost_at(other) for other in settings],
        slope=slope,
        slope_by_turning=(cost_at(setting + SMALL) - cost_at(setting - SMALL)) / (2 * SMALL),
        stepped=stepped,
        stepped_cost=cost_at(stepped),
    )


def draw(found: Turn, name: str, costs: list[float]) -> np.ndarray:
    """The cost against the knob with tangent and step, and the cost of the training so far."""
    near = [setting for setting in found.settings if abs(setting - found.setting) <= 0.4 * REACH]
    knob = [
        Curve("cost", found.settings, found.costs, colour=0),
        Curve("slope by backpropagation", near, [found.tangent(setting) for setting in near], dashed=True, colour=1),
        Curve("now", [found.setting], [found.cost], dots=True, colour=9),
        Curve("after one step", [found.stepped], [found.stepped_cost], dots=True, colour=2),
    ]
    steps = [float(step) for step in range(len(costs))]
    training = Plot([Curve("", steps, costs)], "all knobs, step by step", "step", "cost (nats)")
    return plots([Plot(knob, f"one knob: {name}", "setting", "cost (nats)"), training], size=(480, 320))


def show(*, steps: int, learning_rate: float, knob: int | None, rate: float, out: Path | None, seed: int) -> Turn:
    """Train, turn one knob (by default the steepest), and make one step with it and one with all."""
    console = Console(seed)
    if steps < 0:
        raise SystemExit(f"--steps {steps}: at least 0")
    if knob is not None and not 0 <= knob < len(console.knobs):
        raise SystemExit(f"--knob {knob}: there are {len(console.knobs):,} knobs, the first is 0")
    costs = descend(console, steps, learning_rate)
    gradient = console.gradient(console.knobs)
    if knob is None:
        knob = int(gradient.abs().argmax())
    name, found = console.names()[knob], turn(console, knob, rate)
    together = float(console.cost(console.knobs - learning_rate * gradient))
    print(f"\nknob {knob} of {len(gradient):,}, {name}, stands at {found.setting:.4f}; all others are held")
    print(f"  slope by backpropagation    {found.slope:+.9f}")
    print(f"  slope by turning it a bit   {found.slope_by_turning:+.9f}")
    lowest = int(np.argmin(found.costs))
    print(f"  lowest cost within {REACH:g}        {found.costs[lowest]:.4f}, at {found.settings[lowest]:.4f}")
    promised = found.tangent(found.stepped)
    print(f"  one step turns it to        {found.stepped:.4f}: cost {found.stepped_cost:.6f}, promised {promised:.6f}")
    print(f"one step of all knobs: cost {together:.4f}")
    if out is not None:
        save_png(out, draw(found, name, costs))
        print(f"curves in {out}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=40, help="steps of gradient descent before the knob is turned")
    parser.add_argument("--learning-rate", type=float, default=0.5)
    parser.add_argument("--knob", type=int, help="its number; by default the steepest")
    parser.add_argument("--rate", type=float, default=30.0, help="learning rate of the step of the one knob")
    parser.add_argument("--out", type=Path, help="FILE.png of the curves")
    parser.add_argument("--seed", type=int, default=0)
    try:
        show(**vars(parser.parse_args()))
    except UserError as error:  # the file of the curves cannot be written
        raise SystemExit(str(error)) from None
