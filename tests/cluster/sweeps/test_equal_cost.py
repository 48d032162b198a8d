"""Curves compared at equal cost: closed forms of the interpolation and of the interval."""

import math

import pytest

from cluster.sweeps.equal_cost import Point, gain, points, value_at
from lab.run.metrics import Entry


def curve() -> list[Point]:
    return [Point(100, 1000, 10.0, 0.5), Point(200, 3000, 20.0, 0.9)]


def test_evaluations_have_the_seconds_of_all_iterations_before_them() -> None:
    entries = [
        Entry(1, {"positions": 5, "evaluations": 50}, {"time/iteration_s": 2.0, "time/evaluation_s": 9.0}),
        Entry(2, {"positions": 9, "evaluations": 90}, {"time/iteration_s": 3.0}),
        Entry(2, {"positions": 9, "evaluations": 90}, {"eval/x": 0.7}),
        Entry(3, {"positions": 12, "evaluations": 120}, {"eval/x": math.nan, "time/iteration_s": 1.0}),
    ]
    assert points(entries, "eval/x", progress="positions", cost="evaluations") == [Point(9, 90, 5.0, 0.7)]


@pytest.mark.parametrize(("axis", "amount"), [("cost", 2000), ("seconds", 15.0)])
def test_the_value_between_two_evaluations_lies_on_their_line(axis: str, amount: float) -> None:
    assert value_at(curve(), axis, amount) == pytest.approx(0.7)


def test_before_the_first_evaluation_the_value_is_its() -> None:
    assert value_at(curve(), "cost", 10) == 0.5


def test_a_curve_that_ends_just_before_the_amount_has_its_last_value() -> None:
    assert value_at(curve(), "cost", 3050) == 0.9


def test_a_curve_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before 4000 cost"):
        value_at(curve(), "cost", 4000)


def test_the_interval_is_students() -> None:
    # Two differences d1, d2: half-width = t(0.975, 1) * |d1 - d2| / 2 with t = 12.706.
    found = gain([0.02, 0.04])
    assert found.mean == pytest.approx(0.03)
    assert found.half_width == pytest.approx(12.706 * 0.01, rel=1e-3)


def test_one_seed_has_no_interval() -> None:
    found = gain([0.02])
    assert found.mean == 0.02 and math.isnan(found.half_width)
