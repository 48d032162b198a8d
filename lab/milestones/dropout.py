"""Dropout (Hinton et al. 2012, Srivastava et al. 2014): one network stands for the mean of many, and errs less."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.milestones.digit_sets import DigitSets, digit_sets, pixels
from lab.milestones.fitting import error_rate, fit_classifier
from lab.milestones.rbm import states
from lab.milestones.report import Finding, Report
from lab.milestones.seeded import Line, seeded
from lab.nets.mlp import MLP
from lab.plots.figures import Curve, Plot, plots
from lab.train.config import ScheduledOptimizerConfig

_ENUMERATED = 12  # hidden units, so 4,096 networks
HIDDEN_RATE, INPUT_RATE = 0.5, 0.2
"""Fractions of units that are left out, as in the source."""
PUBLISHED = "published: 1.60% without, 1.25% with, 1.06% with a limit on the norm of weights too"
"""On MNIST, three hidden layers of 1,024 rectified units in the rows with dropout (Srivastava et al. 2014, table 2)."""


@dataclass(frozen=True)
class Size:
    """Widths of the hidden layers, epochs without and with dropout, learning rate of Adam, and the fraction of training
    labels that are random.

    Dropout learns more slowly: its errors still fall where the other network has fitted all examples. Random labels
    stand in for the overfitting that a small set of easy digits does not show.
    """

    widths: tuple[int, ...]
    epochs: int
    epochs_with_dropout: int
    learning_rate: float = 1e-3
    random_labels: float = 0.0


MNIST = Size((800, 800), 14, 40)
DIGITS = Size((300, 300), 80, 80, learning_rate=4e-3, random_labels=0.3)


@dataclass(frozen=True)
class Learned:
    """Test error and training loss after each epoch."""

    errors: list[float]
    losses: list[float]


@torch.no_grad()
def geometric_mean_difference(seed: int) -> float:
    """Largest difference of probabilities between a network with halved weights and the mean of its subnetworks.

    For one hidden layer and a softmax the normalised geometric mean of all networks without some hidden units is the
    network with all of them and the output weights times 1 - rate, exactly (Hinton et al. 2012, page 2). The rate is
    1/2, so that all subnetworks have the same weight.
    """
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(50, _ENUMERATED, generator=generator, dtype=torch.float64).relu()
    weights = torch.randn(_ENUMERATED, 10, generator=generator, dtype=torch.float64)
    masks = states(_ENUMERATED, torch.float64)
    every = F.log_softmax((hidden * masks[:, None]) @ weights, 2)  # [networks, inputs, classes]
    mean = F.softmax(every.mean(0), 1)
    single = F.softmax(hidden @ (0.5 * weights), 1)
    return float((mean - single).abs().max())


def training_labels(data: DigitSets, random: float, seed: int) -> Tensor:
    """Labels int64 [N], of which about the fraction `random` is drawn anew from all classes."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(10, data.labels.shape, generator=generator)
    return torch.where(torch.rand(data.labels.shape, generator=generator) < random, drawn, data.labels)


def learn(data: DigitSets, size: Size, *, with_dropout: bool, seed: int, line: Line) -> Learned:
    """Train a multilayer perceptron on the training digits."""
    inputs, test = pixels(data.images, data.side), pixels(data.test_images, data.side)
    perceptron = MLP(inputs.shape[1], size.widths, 10, dropout=HIDDEN_RATE if with_dropout else 0.0)
    network = nn.Sequential(nn.Dropout(INPUT_RATE), perceptron) if with_dropout else nn.Sequential(perceptron)
    config = ScheduledOptimizerConfig(optimizer="adam", learning_rate=size.learning_rate, weight_decay=0.0)
    epochs = size.epochs_with_dropout if with_dropout else size.epochs
    learned = Learned([], [])

    def after_epoch(epoch: int, loss: float) -> None:
        learned.errors.append(error_rate(network, test, data.test_labels))
        learned.losses.append(loss)
        if epoch % max(1, epochs // 5) == 0:
            name = "with dropout" if with_dropout else "without"
            line(f"{name}, epoch {epoch}: loss {loss:.4f}, test error {learned.errors[-1]:.2%}")

    fit_classifier(
        network,
        inputs,
        training_labels(data, size.random_labels, seed),
        epochs=epochs,
        batch_size=100,
        config=config,
        seed=seed,
        after_epoch=after_epoch,
    )
    return learned


@seeded
def run(seed: int, line: Line) -> Report:
    """The same perceptron with and without dropout, and the mean of all subnetworks by enumeration."""
    difference = geometric_mean_difference(seed)
    data = digit_sets()
    size = MNIST if data.is_mnist else DIGITS
    without, with_dropout = (learn(data, size, with_dropout=is_on, seed=seed, line=line) for is_on in (False, True))
    before, after = without.errors[-1], with_dropout.errors[-1]
    published = f"; {PUBLISHED}" if data.is_mnist else ""
    findings = (
        Finding(
            f"network of half weights beside the geometric mean of 2^{_ENUMERATED} subnetworks",
            "the same probabilities",
            f"largest difference {difference:.1e}",
            difference < 1e-9,
        ),
        Finding(
            "training loss with dropout",
            f"higher than {without.losses[-1]:.4f} without",
            f"{with_dropout.losses[-1]:.4f}",
            with_dropout.losses[-1] > without.losses[-1],
        ),
        Finding(
            "test error with dropout", f"lower than {before:.2%} without{published}", f"{after:.2%}", after < before
        ),
    )
    random_labels = (f"{size.random_labels:.0%} of the training labels are random.",) if size.random_labels else ()
    notes = (
        f"Reduced: hidden layers of {' and '.join(map(str, size.widths))} units, Adam for {size.epochs} epochs "
        f"without and {size.epochs_with_dropout} with dropout, no limit on the norm of weights; the source trains for "
        "thousands of epochs.",
        *data.notes,
        *random_labels,
    )
    networks = (("without dropout", without), ("with dropout", with_dropout))
    epochs = {name: list(range(1, len(one.errors) + 1)) for name, one in networks}
    errors = [Curve(name, epochs[name], [100.0 * error for error in one.errors]) for name, one in networks]
    losses = [Curve(name, epochs[name], one.losses) for name, one in networks]
    figure = plots(
        [
            Plot(errors, "Test error", "epoch", "%"),
            Plot(losses, "Training loss", "epoch", "nats", log_y=True),
        ],
        size=(440, 320),
    )
    return Report(findings, figure, notes)
