"""Seconds until a metric reached a target."""

import pytest

from lab.run.metrics import Entry
from lab.run.time_to_target import Reached, best_value, time_to_target


def entries() -> list[Entry]:
    return [
        Entry(1, {}, {"time/iteration_s": 2.0, "time/checkpoint_s": 50.0}),
        Entry(1, {}, {"eval/x": 0.5, "time/evaluation_s": 30.0}),
        Entry(2, {}, {"time/iteration_s": 3.0}),
        Entry(2, {}, {"eval/x": 0.8}),
        Entry(3, {}, {"time/iteration_s": 4.0}),
        Entry(3, {}, {"eval/x": 0.7}),
    ]


def test_only_iterations_until_the_first_good_evaluation_are_counted() -> None:
    assert time_to_target(entries(), "eval/x", 0.7, higher_is_better=True) == Reached(5.0, entries()[3], 0.8)


def test_lower_may_be_better() -> None:
    assert time_to_target(entries(), "eval/x", 0.6, higher_is_better=False) == Reached(2.0, entries()[1], 0.5)


def test_a_target_that_was_not_reached_has_no_time() -> None:
    assert time_to_target(entries(), "eval/x", 0.9, higher_is_better=True) is None


@pytest.mark.parametrize(("higher", "best"), [(True, 0.8), (False, 0.5)])
def test_the_best_value(higher: bool, best: float) -> None:
    assert best_value(entries(), "eval/x", higher_is_better=higher) == best
