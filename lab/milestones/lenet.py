"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998) on handwritten digits with the lab's augmentation."""

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lab.data.augment import Draws, rotation_maps, scaling_maps, translate
from lab.data.batches import normalise
from lab.data.resample import resample
from lab.milestones.digit_sets import DigitSets, digit_sets
from lab.milestones.fitting import error_rate, fit_classifier
from lab.milestones.montage import beside
from lab.milestones.report import Finding, Report
from lab.milestones.seeded import Line, seeded
from lab.nets.init import Init
from lab.nets.layers import Conv2d
from lab.nets.mlp import MLP
from lab.plots.figures import Curve, Plot, labelled_images, plots
from lab.train.config import ScheduledOptimizerConfig
from lab.train.modes import evaluating

PARAMETERS = 61_706
"""Of this form; LeNet-5 itself has 60,000, as its C3 is not fully connected and its output units are fixed."""
_TANH = Init(gain=1.0)
_SHIFT, _DEGREES, _SCALE = 2, 10.0, 0.1
_SHOWN = 24
_OPTIMIZER = ScheduledOptimizerConfig(optimizer="adam", learning_rate=2e-3, weight_decay=0.0)


@dataclass(frozen=True)
class Size:
    """Epochs and the largest test error that agrees."""

    epochs: int
    largest_error: float


MNIST = Size(12, 0.012)
DIGITS = Size(40, 0.03)


class LeNet5(nn.Sequential):
    """Images [B, 1, 32, 32] in [-1, 1] -> logits [B, 10].

    Section II.B of the source: C1, S2, C3, S4, C5, F6 of 6, 6, 16, 16, 120, 84 maps or units, 5x5 convolutions without
    padding, means over 2x2 and tanh. C3 sees all maps of S2, S4 and S2 have no weights, and the output is linear.
    """

    def __init__(self) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 1
        for number, maps in ((1, 6), (3, 16)):
            layers[f"c{number}"] = Conv2d(channels, maps, 5, padding=0, init=_TANH)
            layers[f"tanh{number}"] = nn.Tanh()
            layers[f"s{number + 1}"] = nn.AvgPool2d(2)
            channels = maps
        layers["flatten"] = nn.Flatten()
        layers["head"] = MLP(16 * 5 * 5, [120, 84], 10, activation="tanh", init=_TANH)
        super().__init__(layers)


def distorted(images: Tensor, start: int, seed: int) -> Tensor:
    """uint8 [B, 1, R, R] -> [-1, 1], shifted, rotated and scaled; draws of image i depend on (seed, start + i)."""
    which = torch.arange(start, start + len(images))
    shifts, turns = Draws(seed, which, 0), Draws(seed, which, 1)
    down, right = ((draw * (2 * _SHIFT + 1)).long() - _SHIFT for draw in shifts.uniforms(2))
    found = translate(normalise(images), down, right, "edge")
    maps = rotation_maps(turns.between(0, math.radians(_DEGREES)).flatten())
    factor = torch.exp(turns.between(1, math.log1p(_SCALE))).flatten()
    return resample(found, maps @ scaling_maps(factor, factor))


def learn(data: DigitSets, epochs: int, seed: int, line: Line) -> tuple[LeNet5, list[float]]:
    """The trained network and its test error after each epoch."""
    network, errors = LeNet5(), []

    def after_epoch(epoch: int, loss: float) -> None:
        errors.append(error_rate(network, data.test_images, data.test_labels, normalise))
        line(f"epoch {epoch}: loss {loss:.4f}, test error {errors[-1]:.2%}")

    fit_classifier(
        network,
        data.images,
        data.labels,
        epochs=epochs,
        batch_size=100,
        config=_OPTIMIZER,
        seed=seed,
        prepare=lambda images, start: distorted(images, start, seed),
        after_epoch=after_epoch,
    )
    return network, errors


@seeded
def run(seed: int, line: Line) -> Report:
    """LeNet-5 learns distorted digits; its test error stands beside the published one."""
    data = digit_sets()
    size = MNIST if data.is_mnist else DIGITS
    network, errors = learn(data, size.epochs, seed, line)
    published = "0.95% published, 0.8% with distorted digits; " if data.is_mnist else ""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    findings = (
        Finding("parameters", f"{PARAMETERS:,}", f"{parameters:,}", parameters == PARAMETERS),
        Finding(
            f"test error on {'MNIST' if data.is_mnist else 'digits'}",
            f"{published}under {size.largest_error:.1%} expected",
            f"{errors[-1]:.2%}",
            errors[-1] < size.largest_error,
        ),
    )
    notes = (
        f"Reduced: {size.epochs} epochs of digits shifted by up to {_SHIFT} pixels, rotated by {_DEGREES:g} degrees "
        f"and scaled by {_SCALE:.0%}.",
        *data.notes,
    )
    return Report(findings, _figure(network, data, errors), notes)


@torch.no_grad()
def _figure(network: LeNet5, data: DigitSets, errors: list[float]) -> np.ndarray:
    """Test error by epoch, and test digits that it takes for others."""
    with evaluating(network):
        parts = data.test_images.split(1000)
        found = torch.cat([network(normalise(images)).argmax(1) for images in parts])
    wrong = torch.nonzero(found != data.test_labels).flatten()[:_SHOWN]
    epochs = list(range(1, len(errors) + 1))
    curve = Plot(
        [Curve("", epochs, [100.0 * error for error in errors])], "LeNet-5", "epoch", "test error, %", log_y=True
    )
    left = plots([curve], size=(440, 380))
    if not len(wrong):
        return left
    labels, predictions = ([str(value) for value in one[wrong].tolist()] for one in (data.test_labels, found))
    return beside(left, labelled_images(data.test_images[wrong].numpy(), labels, predictions, columns=6))
