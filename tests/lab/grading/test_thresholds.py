"""Agreement, thresholds and intervals."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from lab.grading.calibration import calibrate, from_state
from lab.grading.thresholds import fit_thresholds, half_width, quadratic_kappa, quantile_grades

RNG = np.random.default_rng(0)
GRADES = np.arange(1.0, 5.5, 0.5)
TRUTH = RNG.choice(GRADES, 4000, p=[0.02, 0.04, 0.1, 0.2, 0.28, 0.2, 0.1, 0.04, 0.02])


def test_the_kappa_is_scikit_learns() -> None:
    other = np.clip(np.round(2.0 * (TRUTH + RNG.normal(size=len(TRUTH)))) / 2.0, 1.0, 5.0)
    expected = cohen_kappa_score((2 * TRUTH).astype(int), (2 * other).astype(int), weights="quadratic")
    assert quadratic_kappa(TRUTH, other) == pytest.approx(expected)
    assert quadratic_kappa(TRUTH, TRUTH) == 1.0
    assert quadratic_kappa(np.ones(3), np.ones(3)) == 0.0


def test_cut_points_undo_the_shrinkage_of_a_regression() -> None:
    shrunk = 3.0 + 0.4 * (TRUTH + 0.8 * RNG.normal(size=len(TRUTH)) - 3.0)
    half = slice(0, 2000), slice(2000, 4000)
    thresholds = fit_thresholds(shrunk[half[0]], TRUTH[half[0]], GRADES)
    fitted = quadratic_kappa(thresholds.grade(shrunk[half[1]]), TRUTH[half[1]])
    rounded = quadratic_kappa(np.clip(np.round(2.0 * shrunk[half[1]]) / 2.0, 1.0, 5.0), TRUTH[half[1]])
    scales = [fit_thresholds(3.0 + s * (shrunk[half[0]] - 3.0), TRUTH[half[0]], GRADES) for s in (0.7, 1.4)]
    others = [quadratic_kappa(other.grade(shrunk[half[1]]), TRUTH[half[1]]) for other in scales]
    assert fitted > rounded + 0.05 and fitted > max(others)


def test_grades_by_quantiles_have_the_frequencies_of_the_scores() -> None:
    known, new = RNG.normal(size=4000), RNG.normal(size=4000)
    found = quantile_grades(new, known, TRUTH)
    assert abs(found.mean() - TRUTH.mean()) < 0.05 and abs(found.std() - TRUTH.std()) < 0.05
    assert (np.diff(found[np.argsort(new)]) >= 0.0).all()


def test_an_interval_covers_what_it_says() -> None:
    widths = [half_width(RNG.normal(size=50), 0.9) for _ in range(400)]
    inside = np.mean([np.abs(RNG.normal(size=100)) <= width for width in widths])
    assert 0.89 < inside < 0.93
    assert half_width(np.array([1.0, -3.0]), 0.99) == 3.0


def test_the_offset_makes_the_mean_right_and_survives_a_checkpoint() -> None:
    truth = RNG.choice([1.0, 2.0, 3.0], 200)
    predictions = np.stack([0.5 * truth - 3.0, truth], 1)
    found = calibrate(predictions, truth, np.array([1.0, 2.0, 3.0]), 0.9)
    assert found.predictions[:, 0].mean() == pytest.approx(truth.mean())
    assert np.array_equal(found.predictions[:, 1], predictions[:, 1])
    assert np.array_equal(found.thresholds.grade(found.predictions[:, 0]), truth)
    thresholds, width, offset = from_state(found.to_state())
    assert (width, offset) == (found.half_width, found.offset)
    assert np.array_equal(thresholds.cuts, found.thresholds.cuts)
