"""The table of milestones in historical order. The module of an entry is imported when the entry runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial

from lab.config.suggestions import did_you_mean, shortened
from lab.errors import UserError
from lab.milestones.report import Milestone, Report


def _run(name: str, seed: int, line: Callable[[str], None]) -> Report:
    report: Report = importlib.import_module(f"lab.milestones.{name}").run(seed, line)
    return report


def _entry(year: int, name: str, title: str, source: str, *, minutes: int = 1) -> Milestone:
    return Milestone(name, title, year, source, minutes, partial(_run, name))


MILESTONES: tuple[Milestone, ...] = (
    _entry(
        1943,
        "mcculloch_pitts",
        "Threshold units compute Boolean functions",
        "McCulloch and Pitts, A logical calculus of the ideas immanent in nervous activity",
    ),
    _entry(
        1949,
        "hebb",
        "Hebb's rule, and Oja's rule that bounds it",
        "Hebb, The organization of behavior; Oja 1982, A simplified neuron model as a principal component analyzer",
    ),
    _entry(
        1958,
        "perceptron",
        "Perceptron: convergence and capacity",
        "Rosenblatt, The perceptron; Novikoff 1962, On convergence proofs; Cover 1965, Geometrical properties",
    ),
    _entry(
        1980,
        "neocognitron",
        "Neocognitron: recognition that tolerates shifts",
        "Fukushima, Neocognitron: a self-organizing neural network model",
    ),
    _entry(
        1982,
        "hopfield",
        "Hopfield network: associative memory",
        "Hopfield, Neural networks and physical systems; Amit, Gutfreund and Sompolinsky 1985",
    ),
    _entry(
        1982,
        "self_organising_map",
        "Self-organising map",
        "Kohonen, Self-organized formation of topologically correct feature maps",
    ),
    _entry(
        1985,
        "boltzmann",
        "Boltzmann machine and the 4-2-4 encoder",
        "Ackley, Hinton and Sejnowski, A learning algorithm for Boltzmann machines",
    ),
    _entry(
        1986,
        "backpropagation",
        "Backpropagation of errors",
        "Rumelhart, Hinton and Williams, Learning representations by back-propagating errors",
    ),
    _entry(
        1986,
        "restricted_boltzmann",
        "Restricted Boltzmann machine",
        "Smolensky, Information processing in dynamical systems; Hinton 2002, contrastive divergence",
    ),
    _entry(
        1990,
        "jordan_elman",
        "Jordan and Elman networks",
        "Jordan 1986, Serial order; Elman 1990, Finding structure in time",
    ),
    _entry(
        1997,
        "bidirectional",
        "Bidirectional recurrent network",
        "Schuster and Paliwal, Bidirectional recurrent neural networks",
    ),
    _entry(
        1997,
        "lstm",
        "Long short-term memory",
        "Hochreiter and Schmidhuber, Long short-term memory; Gers et al. 2000, Learning to forget",
    ),
    _entry(
        1998,
        "lenet",
        "LeNet: convolution, weight sharing, subsampling",
        "LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition",
        minutes=2,
    ),
    _entry(
        2006,
        "deep_belief",
        "Deep belief network",
        "Hinton, Osindero and Teh, A fast learning algorithm for deep belief nets",
        minutes=3,
    ),
    _entry(
        2009,
        "deep_boltzmann",
        "Deep Boltzmann machine",
        "Salakhutdinov and Hinton, Deep Boltzmann machines",
        minutes=5,
    ),
    _entry(
        2012,
        "dropout",
        "Dropout",
        "Hinton et al., Improving neural networks by preventing co-adaptation; Srivastava et al. 2014",
        minutes=8,
    ),
)
"""Every milestone, by year."""


def find(name: str) -> Milestone:
    """The milestone of that name. Raises UserError that names the nearest."""
    found = next((one for one in MILESTONES if one.name == name), None)
    if found is None:
        hint = did_you_mean(name, [one.name for one in MILESTONES])
        raise UserError(f"unknown milestone {shortened(name)}; {hint}")
    return found
