"""Deep belief networks: RBMs learned layer by layer (Hinton, Osindero and Teh 2006), then trained with labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lab.milestones.deep_belief_bound import DeepBelief, Likelihood, likelihood, stacked
from lab.milestones.digit_sets import DigitSets, binary_digits, digit_sets, pixels
from lab.milestones.fitting import error_rate, fit_classifier
from lab.milestones.layered_classifier import LayeredClassifier
from lab.milestones.montage import beside, filters, tiles
from lab.milestones.rbm import RBM, draw, hidden_probabilities, log_partition, mean_log_likelihood, new_rbm
from lab.milestones.rbm_training import Learning, learn
from lab.milestones.report import Finding, Report
from lab.milestones.seeded import Line, seeded
from lab.plots.figures import Curve, Plot, plots
from lab.train.config import ScheduledOptimizerConfig

BOUND_HIDDEN = 12
_BOUND_FIRST = Learning(epochs=100, learning_rate=0.1, batch_size=50, chains=100)
_BOUND_TOP = Learning(epochs=100, learning_rate=0.05, batch_size=50, chains=100)
_SHOWN = 48


@dataclass(frozen=True)
class Size:
    """Widths of the hidden layers, epochs, and the numbers of labels that classifiers learn from."""

    widths: tuple[int, ...]
    layer_epochs: int
    epochs: int
    few_labels: int
    few_epochs: int


MNIST = Size(widths=(500, 500), layer_epochs=8, epochs=12, few_labels=1000, few_epochs=60)
DIGITS = Size(widths=(200, 200), layer_epochs=60, epochs=60, few_labels=50, few_epochs=200)
_LAYER = Learning(epochs=1, learning_rate=0.05, batch_size=100, momentum=0.9, weight_decay=2e-4)
_OPTIMIZER = ScheduledOptimizerConfig(optimizer="adam", learning_rate=1e-3, weight_decay=0.0)


def pretrained(inputs: Tensor, size: Size, seed: int, line: Line) -> list[RBM]:
    """One RBM per width by CD-1, each on the hidden probabilities of the one below; inputs: [N, V] in [0, 1]."""
    layers: list[RBM] = []
    for depth, width in enumerate(size.widths):
        rbm = new_rbm(inputs, width, torch.Generator().manual_seed(seed + depth))
        learn(rbm, inputs, replace(_LAYER, epochs=size.layer_epochs), seed=seed + depth)
        line(f"layer {depth + 1}: {size.layer_epochs} epochs of CD-1")
        inputs = hidden_probabilities(rbm, inputs)
        layers.append(rbm)
    return layers


def classifier_error(
    layers: Sequence[RBM], data: DigitSets, widths: Sequence[int], *, labels: int, epochs: int, seed: int
) -> float:
    """Test error after training with the first `labels` labels, from RBM weights or, without, random."""
    inputs, test = pixels(data.images[:labels], data.side), pixels(data.test_images, data.side)
    network = LayeredClassifier(inputs.shape[1], widths, 10)
    network.take(layers)
    fit_classifier(
        network,
        inputs,
        data.labels[:labels],
        epochs=epochs,
        batch_size=min(100, len(inputs)),
        config=_OPTIMIZER,
        seed=seed,
    )
    return error_rate(network, test, data.test_labels)


def second_layer(seed: int, hidden: int = BOUND_HIDDEN) -> tuple[float, Likelihood, Likelihood]:
    """Mean log-likelihood of training digits under one RBM, and under the network of two layers before and after its
    top learns from samples of q(h1 | v)."""
    train, _ = binary_digits()
    generator = torch.Generator().manual_seed(seed)
    first = new_rbm(train, hidden, generator)
    learn(first, train, _BOUND_FIRST, seed=seed)
    alone = mean_log_likelihood(first, train, log_partition(first))
    network: DeepBelief = stacked(first)
    before = likelihood(network, train)
    learn(network.top, draw(hidden_probabilities(first, train), generator), _BOUND_TOP, seed=seed)
    return alone, before, likelihood(network, train)


@seeded
def run(seed: int, line: Line) -> Report:
    """The bound of a small network against enumeration, and errors with and without learning layer by layer."""
    alone, before, after = second_layer(seed)
    line(f"two layers: bound {before.bound:.3f} before, {after.bound:.3f} nats after the second layer learns")
    data = digit_sets()
    size = MNIST if data.is_mnist else DIGITS
    layers = pretrained(pixels(data.images, data.side), size, seed, line)
    errors: dict[tuple[str, int], float] = {}
    for labels, epochs in ((size.few_labels, size.few_epochs), (len(data.images), size.epochs)):
        for name, start in (("layer by layer", layers), ("random", [])):
            error = classifier_error(start, data, size.widths, labels=labels, epochs=epochs, seed=seed)
            errors[name, labels] = error
            line(f"{labels:,} labels, weights {name}: test error {error:.2%}")
    few, every = (errors["layer by layer", labels] for labels in (size.few_labels, len(data.images)))
    few_random, every_random = (errors["random", labels] for labels in (size.few_labels, len(data.images)))
    published = "MNIST: 1.25% published, 784-500-500-2000" if data.is_mnist else "under 5% on scikit-learn's digits"
    findings = (
        Finding(
            "second layer with tied weights",
            f"{alone:.4f} nats of one RBM; the bound is exact",
            f"exact {before.exact:.4f}, bound {before.bound:.4f}",
            abs(before.exact - alone) < 1e-3 and abs(before.bound - alone) < 1e-3,
        ),
        Finding(
            "second layer learned",
            "the bound rises, and stays below the exact log-likelihood",
            f"bound {after.bound:.3f}, exact {after.exact:.3f} nats",
            before.bound < after.bound <= after.exact,
        ),
        Finding(
            f"test error with {size.few_labels:,} labels",
            f"lower than {few_random:.2%} from random weights",
            f"{few:.2%}",
            few < few_random,
        ),
        Finding(
            f"test error with all {len(data.images):,} labels",
            f"{published}; {every_random:.2%} from random weights",
            f"{every:.2%}",
            every < (0.02 if data.is_mnist else 0.05),
        ),
    )
    notes = (
        f"Reduced: layers of {' and '.join(map(str, size.widths))} units, {size.layer_epochs} epochs of CD-1 each, "
        f"{size.epochs} epochs of backpropagation; the source has 784-500-500-2000 units and the up-down algorithm.",
        *data.notes,
    )
    return Report(findings, _figure(errors, layers[0], data.side), notes)


def _figure(errors: dict[tuple[str, int], float], first: RBM, side: int) -> np.ndarray:
    curves = []
    for name in ("layer by layer", "random"):
        points = [(labels, 100.0 * error) for (kind, labels), error in errors.items() if kind == name]
        curves.append(Curve(name, [x for x, _ in points], [y for _, y in points]))
    plot = Plot(curves, "Test error by number of labels", "labels", "%", log_x=True, log_y=True)
    shown = tiles(filters(first.weights.T[:_SHOWN], side), columns=8, scale=max(1, 56 // side))
    return beside(plots([plot], size=(480, 380)), shown)
