"""The restricted Boltzmann machine: exact likelihood while it learns, and log Z by annealed importance sampling."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.milestones.annealed_importance import Estimate, estimate_log_partition, inverse_temperatures
from lab.milestones.digit_sets import binary_digits
from lab.milestones.rbm import RBM, base_rates, log_partition, mean_log_likelihood, new_rbm
from lab.milestones.rbm_training import Learning, learn
from lab.milestones.report import Finding, Report
from lab.milestones.seeded import Line, seeded
from lab.plots.figures import Curve, Plot, plots

HIDDEN = 20
_EPOCHS = 400
_MEASURED_AT = (0, 5, 20, 60, 150, 400)  # epochs: an enumeration of 2**20 states takes about a second
_CHAINS = 400
_TEMPERATURES = (30, 100, 300, 1000, 3000, 10_000)
CONTRASTIVE = Learning(epochs=_EPOCHS, learning_rate=0.1, batch_size=50)
PERSISTENT = Learning(epochs=_EPOCHS, learning_rate=0.1, batch_size=50, chains=100)


@dataclass(frozen=True)
class Learned:
    """An RBM and its exact mean log-likelihood (nats) of training and test digits after some of the epochs."""

    rbm: RBM
    epochs: list[int]
    train: list[float]
    test: list[float]


def learn_digits(learning: Learning, hidden: int, measured_at: tuple[int, ...], seed: int) -> Learned:
    """Train an RBM with `hidden` units on binary digits; the likelihood is exact, by enumeration."""
    train, test = binary_digits()
    rbm = new_rbm(train, hidden, torch.Generator().manual_seed(seed))
    learned = Learned(rbm, [], [], [])

    def measure(epoch: int) -> None:
        if epoch in measured_at:
            log_z = log_partition(rbm)
            learned.epochs.append(epoch)
            learned.train.append(mean_log_likelihood(rbm, train, log_z))
            learned.test.append(mean_log_likelihood(rbm, test, log_z))

    measure(0)
    learn(rbm, train, learning, seed=seed, after_epoch=measure)
    return learned


def independent_pixels(train: Tensor, test: Tensor) -> float:
    """Mean log-likelihood (nats) of test digits [N, V] under independent pixels with the means of the training ones."""
    bias = base_rates(train)
    return float((test @ bias).mean() - torch.nn.functional.softplus(bias).sum())


@seeded
def run(seed: int, line: Line) -> Report:
    """An RBM of 20 hidden units learns scikit-learn's digits by contrastive divergence and by persistent chains."""
    train, test = binary_digits()
    independent = independent_pixels(train, test)
    learned = {}
    for name, learning in (("CD-1", CONTRASTIVE), ("PCD", PERSISTENT)):
        found = learned[name] = learn_digits(learning, HIDDEN, _MEASURED_AT, seed)
        line(f"{name}: {found.epochs[-1]} epochs, exact log-likelihood of test digits {found.test[-1]:.2f} nats")
    exact = log_partition(learned["PCD"].rbm)
    estimates = []
    for count in _TEMPERATURES:
        generator = torch.Generator().manual_seed(seed + count)
        estimates.append(
            estimate_log_partition(
                learned["PCD"].rbm,
                base_rates(train),
                chains=_CHAINS,
                temperatures=inverse_temperatures(count),
                generator=generator,
            )
        )
        line(f"annealed importance sampling, {count} temperatures: log Z {estimates[-1].log_partition:.3f}")
    error = estimates[-1].log_partition - exact
    findings = [
        Finding(
            "log Z by annealed importance sampling",
            f"{exact:.3f} by enumeration of 2^{HIDDEN} states; within 0.1 nat",
            f"{estimates[-1].log_partition:.3f}, {error:+.3f} nat",
            abs(error) < 0.1,
        )
    ]
    for name, found in learned.items():
        findings.append(
            Finding(
                f"{name}: exact log-likelihood of test digits",
                f"rises above {independent:.2f} nats of independent pixels",
                f"{found.test[0]:.2f} at the start, {found.test[-1]:.2f} nats after {found.epochs[-1]} epochs",
                found.test[-1] > max(independent, found.test[0]) + 1.0,
            )
        )
    gain = learned["PCD"].test[-1] - learned["CD-1"].test[-1]
    findings.append(
        Finding(
            "persistent chains beside CD-1",
            "a higher likelihood (Tieleman 2008)",
            f"{gain:+.2f} nats on test digits",
            gain > 0.0,
        )
    )
    note = f"{len(train):,} digits of 8 x 8 pixels for training and {len(test)} for testing, {HIDDEN} hidden units."
    return Report(tuple(findings), _figure(learned, independent, estimates, exact), (note,))


def _figure(learned: dict[str, Learned], independent: float, estimates: list[Estimate], exact: float) -> np.ndarray:
    curves = [Curve(name, found.epochs, found.test) for name, found in learned.items()]
    ends = [0, _MEASURED_AT[-1]]
    curves.append(Curve("independent pixels", ends, [independent] * 2, dashed=True))
    likelihood = Plot(curves, "Exact log-likelihood of test digits", "epoch", "nats")
    counts = list(_TEMPERATURES)
    errors = [estimate.log_partition - exact for estimate in estimates]
    low, high = ([bound - exact if math.isfinite(bound) else math.nan for bound in bounds] for bounds in
                 ([e.low for e in estimates], [e.high for e in estimates]))  # fmt: skip
    sampling = Plot(
        [
            Curve("estimate - exact log Z", counts, errors),
            Curve("three standard errors", counts, low, dashed=True, colour=1),
            Curve("", counts, high, dashed=True, colour=1),
            Curve("exact", [counts[0], counts[-1]], [0.0, 0.0], colour=9),
        ],
        "Annealed importance sampling",
        "temperatures",
        "nats",
        log_x=True,
    )
    return plots([likelihood, sampling], size=(440, 320))
