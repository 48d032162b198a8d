"""The table of milestones: historical order, modules that exist, and findings that agree with theory."""

import inspect
from importlib import import_module

import numpy as np
import pytest

from lab.errors import UserError
from lab.milestones.table import MILESTONES, find

# Modules that take seconds; those that train for minutes have tests of their own.
SHORT = [
    "mcculloch_pitts",
    "hebb",
    "perceptron",
    "neocognitron",
    "hopfield",
    "self_organising_map",
    "boltzmann",
    "backpropagation",
]


def test_entries_are_in_historical_order_and_have_different_names() -> None:
    years = [one.year for one in MILESTONES]
    assert years == sorted(years)
    assert len({one.name for one in MILESTONES}) == len(MILESTONES) == 16


@pytest.mark.parametrize("name", [one.name for one in MILESTONES])
def test_the_module_of_every_entry_has_its_function(name: str) -> None:
    function = import_module(f"lab.milestones.{name}").run
    assert list(inspect.signature(function).parameters) == ["seed", "line"]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'hopfield'"):
        find("hopfeld")


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_measurements_agree_with_theory_and_a_figure_is_drawn(name: str) -> None:
    lines: list[str] = []
    report = find(name).run(0, lines.append)
    assert [finding for finding in report.findings if not finding.agrees] == []
    assert report.findings and (lines or name == "mcculloch_pitts")
    assert report.figure.dtype == np.uint8 and report.figure.shape[2] == 3
    assert (report.figure != 255).any()
