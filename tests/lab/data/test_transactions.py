"""The exact probability of fraud agrees with the labels, and nothing ranks better."""

import numpy as np
import pytest
from scipy import integrate
from sklearn.metrics import average_precision_score

from lab.data.transactions import (
    PROFILES,
    _log_normal,
    _poisson,
    _wrapped_normal,
    fraud_probability,
    load_transactions,
)

FOUND = load_transactions(40_000)
EXACT = fraud_probability(FOUND.data)


def best_average_precision(probabilities: np.ndarray) -> float:
    """The expected area under the precision-recall curve of the exact probabilities [N] as scores.

    It needs no labels: among the k rows with the highest probabilities, the expected number of frauds is their sum.
    """
    ranked = np.sort(probabilities)[::-1]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float((precision * ranked).sum() / ranked.sum())


def test_densities_of_the_columns_integrate_to_one() -> None:
    hours = np.linspace(0.0, 24.0, 20_001)
    amounts = np.geomspace(1e-4, 1e6, 200_001)
    for profile in PROFILES:
        assert integrate.simpson(np.exp(_wrapped_normal(hours, *profile.hour)), x=hours) == pytest.approx(1.0, abs=1e-6)
        density = np.exp(_log_normal(amounts, *profile.amount))
        assert integrate.simpson(density, x=amounts) == pytest.approx(1.0, abs=1e-4)
        assert _poisson(profile.rate).sum() == pytest.approx(1.0)
        assert sum(profile.channels) == pytest.approx(1.0)
    assert sum(profile.share for profile in PROFILES) == pytest.approx(1.0)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.01), (0.01, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.0)])
def test_among_rows_of_one_probability_so_many_are_frauds(low: float, high: float) -> None:
    rows = (low <= EXACT) & (high > EXACT)
    expected, deviation = EXACT[rows].sum(), np.sqrt((EXACT * (1.0 - EXACT))[rows].sum())
    assert abs(FOUND.target[rows].sum() - expected) < 4.0 * deviation


def test_the_best_average_precision_is_that_of_the_exact_probabilities() -> None:
    best = best_average_precision(EXACT)
    frauds = FOUND.target.sum()
    assert average_precision_score(FOUND.target, EXACT) == pytest.approx(best, abs=4.0 * np.sqrt(0.25 / frauds))
    assert best < 1.0


def test_a_part_of_the_exact_probability_ranks_worse() -> None:
    blind = FOUND.data.copy()
    blind[:, 0] = 30.0  # every amount is the same
    assert average_precision_score(FOUND.target, fraud_probability(blind)) < best_average_precision(EXACT) - 0.05


def test_a_row_depends_on_its_number_alone() -> None:
    assert np.array_equal(load_transactions(50).data, FOUND.data[:50])
