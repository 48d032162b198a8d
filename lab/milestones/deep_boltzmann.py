"""Deep Boltzmann machines (Salakhutdinov and Hinton 2009): learned layer by layer, then together, then with labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.milestones import dbm as deep
from lab.milestones.annealed_importance import Estimate, estimate_log_partition, inverse_temperatures
from lab.milestones.dbm import DBM
from lab.milestones.digit_sets import DigitSets, binary_digits, digit_sets, pixels
from lab.milestones.fitting import error_rate, fit_classifier
from lab.milestones.layered_classifier import LayeredClassifier
from lab.milestones.montage import beside, tiles
from lab.milestones.rbm import RBM, base_rates, draw, log_partition, new_rbm
from lab.milestones.rbm_training import Learning
from lab.milestones.rbm_training import learn as learn_rbm
from lab.milestones.report import Finding, Report
from lab.milestones.restricted_boltzmann import independent_pixels
from lab.milestones.seeded import Line, seeded
from lab.plots.figures import Curve, Plot, plots
from lab.train.config import ScheduledOptimizerConfig

PUBLISHED_BOUND, PUBLISHED_ERROR = -84.62, 0.0095
"""On MNIST, 500 and 1000 hidden units (section 4.1 of the source)."""
_SHOWN = 48
_OPTIMIZER = ScheduledOptimizerConfig(optimizer="adam", learning_rate=1e-3, weight_decay=0.0)


@dataclass(frozen=True)
class Size:
    """Hidden units, epochs of each layer alone, of all layers together and of labels, and how log Z is estimated.

    labels: how many the classifiers learn from, None for all.
    """

    widths: tuple[int, int]
    layer_epochs: int
    epochs: int
    label_epochs: int
    chains: int
    temperatures: int
    layer_rate: float = 0.05
    rate: float = 0.02
    batch_size: int = 100
    labels: int | None = None


ENUMERATED = Size((12, 12), 60, 100, 0, 400, 3000, rate=0.05, batch_size=50)
MNIST = Size((500, 500), 5, 6, 10, 100, 3000)
DIGITS = Size((100, 100), 60, 100, 200, 100, 3000, rate=0.05, batch_size=50, labels=100)


@dataclass(frozen=True)
class Learned:
    """A DBM, v of its chains, and what `measure` gave after the layers learned alone (0) and after later epochs."""

    dbm: DBM
    chains: Tensor
    measured: dict[int, tuple[float, float]]


def learn(
    data: Tensor,
    size: Size,
    seed: int,
    line: Line,
    measure: Callable[[DBM], tuple[float, float]] | None = None,
    every: int = 10,
) -> Learned:
    """A DBM of bits `data` [N, V]. Section 3.1: each layer alone counts its input from outside the pair twice."""
    generator = torch.Generator().manual_seed(seed)
    below, above = size.widths

    def layer(inputs: Tensor, width: int, *, visible_copies: int = 1, hidden_copies: int = 1) -> RBM:
        rbm = new_rbm(inputs, width, generator)
        learning = Learning(
            size.layer_epochs,
            size.layer_rate,
            size.batch_size,
            visible_copies=visible_copies,
            hidden_copies=hidden_copies,
        )
        learn_rbm(rbm, inputs, learning, seed=seed)
        return rbm

    first = layer(data, below, visible_copies=2)
    means = torch.sigmoid(2.0 * (data @ first.weights) + first.hidden_bias)
    second = layer(means, above, hidden_copies=2)
    line(f"layers of {below} and {above} units: {size.layer_epochs} epochs each")
    dbm = deep.composed(first, second)
    measured: dict[int, tuple[float, float]] = {}

    def after_epoch(epoch: int) -> None:
        if measure is not None and epoch % every == 0:
            measured[epoch] = measure(dbm)

    after_epoch(0)
    chains = deep.learn(
        dbm,
        data,
        epochs=size.epochs,
        learning_rate=size.rate,
        batch_size=size.batch_size,
        chains=100,
        mean_field_updates=8,
        gibbs_steps=2,
        seed=seed,
        after_epoch=after_epoch,
    )
    line(f"both layers together: {size.epochs} epochs")
    return Learned(dbm, chains, measured)


def estimated_log_partition(dbm: DBM, data: Tensor, size: Size, seed: int) -> Estimate:
    """log Z by annealed importance sampling from independent units with the means of data [N, V] and of h2 given it."""
    base = torch.cat([base_rates(data), base_rates(deep.mean_field(dbm, data, 10)[1])])
    return estimate_log_partition(
        deep.as_rbm(dbm),
        base,
        chains=size.chains,
        temperatures=inverse_temperatures(size.temperatures),
        generator=torch.Generator().manual_seed(seed),
    )


def classifier_error(dbm: DBM | None, data: DigitSets, size: Size, seed: int) -> float:
    """Test error of a classifier that sees v and the DBM's means of h2 (section 3.3), from its weights; without one,
    that sees v, from random weights."""
    inputs, test = pixels(data.images[: size.labels], data.side), pixels(data.test_images, data.side)
    layers = []
    if dbm is not None:
        inputs, test = (torch.cat([one, deep.mean_field(dbm, one, 10)[1]], 1) for one in (inputs, test))
        layers = [deep.as_rbm(dbm), RBM(dbm.second, dbm.hidden_bias, dbm.top_bias)]
    network = LayeredClassifier(inputs.shape[1], size.widths, 10)
    network.take(layers)
    fit_classifier(
        network,
        inputs,
        data.labels[: size.labels],
        epochs=size.label_epochs,
        batch_size=100,
        config=_OPTIMIZER,
        seed=seed,
    )
    return error_rate(network, test, data.test_labels)


def enumerated(seed: int, line: Line, size: Size = ENUMERATED) -> tuple[list[Finding], dict[int, tuple[float, float]]]:
    """Findings of a machine that is small enough for exact likelihoods, and by epoch the mean log-likelihood (nats) of
    test digits and its bound."""
    train, test = binary_digits()

    def measure(dbm: DBM) -> tuple[float, float]:
        log_z = log_partition(deep.as_rbm(dbm))
        exact, bound = deep.log_likelihoods(dbm, test, log_z), deep.bounds(dbm, test, log_z)
        return float(exact.mean()), float(bound.mean())

    learned = learn(train, size, seed, line, measure)
    log_z = log_partition(deep.as_rbm(learned.dbm))
    exact, bound = (find(learned.dbm, test, log_z) for find in (deep.log_likelihoods, deep.bounds))
    independent = independent_pixels(train, test)
    error = estimated_log_partition(learned.dbm, train, size, seed).log_partition - log_z
    mean, greedy = float(exact.mean()), learned.measured[0][0]
    below = bound <= exact + 1e-3  # nats of rounding
    findings = [
        Finding(
            "small machine: log Z by annealed importance sampling",
            f"{log_z:.3f} by enumeration; within 0.1 nat",
            f"{log_z + error:.3f}, {error:+.3f} nat",
            abs(error) < 0.1,
        ),
        Finding(
            "small machine: mean-field bound of log p(v)",
            f"at most {mean:.3f} nats, exact; so for every test digit",
            f"{float(bound.mean()):.3f} nats, {float(below.double().mean()):.1%} of the digits",
            bool(below.all()),
        ),
        Finding(
            "small machine: exact log-likelihood of test digits",
            f"rises when the layers learn together, above {independent:.2f} nats of independent pixels",
            f"{greedy:.2f} before, {mean:.2f} nats after",
            mean > max(greedy, independent),
        ),
    ]
    return findings, learned.measured


@seeded
def run(seed: int, line: Line) -> Report:
    """A small machine against enumeration; a large one by its bound, its samples and a classifier's error."""
    findings, small = enumerated(seed, line)
    data = digit_sets()
    size = MNIST if data.is_mnist else DIGITS
    generator = torch.Generator().manual_seed(seed)
    train, test = (draw(pixels(images, data.side), generator) for images in (data.images, data.test_images))
    learned = learn(train, size, seed, line)
    estimate = estimated_log_partition(learned.dbm, train, size, seed)
    bound = float(deep.bounds(learned.dbm, test, estimate.log_partition).mean())
    independent = independent_pixels(train, test)
    line(f"bound of log p(v): {bound:.2f} nats on test digits, log Z {estimate.log_partition:.2f}")
    errors = {}
    for name, start in (("DBM", learned.dbm), ("random", None)):
        errors[name] = classifier_error(start, data, size, seed)
        line(f"classifier from weights {name}: test error {errors[name]:.2%}")
    on_mnist = data.is_mnist
    findings += [
        Finding(
            "bound of log p(v), test digits",
            f"above {independent:.1f} nats of independent pixels"
            + (f"; {PUBLISHED_BOUND} published, 500 and 1000 units" if on_mnist else ""),
            f"{bound:.1f} nats; log Z {estimate.low:.1f} to {estimate.high:.1f}",
            bound > independent,
        ),
        Finding(
            f"test error of the classifier, {len(data.labels[: size.labels]):,} labels",
            f"lower than {errors['random']:.2%} from random weights"
            + (f"; {PUBLISHED_ERROR:.2%} published" if on_mnist else ""),
            f"{errors['DBM']:.2%}",
            errors["DBM"] < errors["random"],
        ),
    ]
    notes = (
        f"Reduced: {size.widths[0]} and {size.widths[1]} hidden units, {size.layer_epochs} epochs of each layer and "
        f"{size.epochs} of both; the source has 500 and 1000 units and hundreds of epochs.",
        "Bits are sampled once from the intensities.",
        *data.notes,
    )
    return Report(tuple(findings), _figure(small, learned, data.side, seed), notes)


def _figure(small: dict[int, tuple[float, float]], learned: Learned, side: int, seed: int) -> np.ndarray:
    """The small machine's likelihood and bound by epoch, beside samples of the large one (means given h1)."""
    dbm, generator = learned.dbm, torch.Generator().manual_seed(seed)
    middle = draw(deep.mean_field(dbm, learned.chains[:_SHOWN], 10)[0], generator)
    images = torch.sigmoid(torch.addmm(dbm.visible_bias, middle, dbm.first.T)).unflatten(1, (side, side))
    curves = [
        Curve(name, list(small), [values[part] for values in small.values()], dashed=part == 1)
        for part, name in enumerate(("exact", "mean-field bound"))
    ]
    plot = Plot(curves, "Small machine: log-likelihood of test digits", "epochs of both layers", "nats")
    return beside(plots([plot], size=(480, 380)), tiles(images, columns=8, scale=max(1, 56 // side)))
