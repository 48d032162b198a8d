"""The likelihood of a mean score against closed forms and against a search over distributions."""

import numpy as np
import pytest

from agents.arena.pentanomial import NO_PAIRS, SCORES, Counts, counts_of, mean_score, profile


def test_pairs_are_counted_by_their_points() -> None:
    assert counts_of([-1, -1, 0, -1, 1, -1, 0, 0, 1, 0, 1, 1, 1, 1]) == (1, 1, 2, 1, 2)
    assert counts_of([]) == NO_PAIRS
    assert mean_score((1, 1, 2, 1, 2)) == pytest.approx((0.25 + 1 + 0.75 + 2) / 7)


@pytest.mark.parametrize("mean", [0.02, 0.3, 0.6, 0.999])
def test_two_outcomes_have_the_likelihood_of_a_coin(mean: float) -> None:
    found = profile((40, 0, 0, 0, 60), mean)
    expected = 40 * np.log((1 - mean) / 0.4) + 60 * np.log(mean / 0.6)
    assert found.log_likelihood == pytest.approx(expected, rel=1e-9)
    assert found.slope == pytest.approx(60 / mean - 40 / (1 - mean), rel=1e-7, abs=1e-7)
    assert found.variance == pytest.approx(mean * (1 - mean))


def test_an_outcome_that_was_not_observed_takes_the_rest_of_the_probability() -> None:
    # All pairs were even: a mean of 0.6 is likeliest with 0.8 on them and 0.2 on two wins.
    for mean in (0.6, 0.4):
        found = profile((0, 0, 10, 0, 0), mean)
        assert found.log_likelihood == pytest.approx(10 * np.log(0.8))
        assert found.variance == pytest.approx(0.8 * 0.01 + 0.2 * 0.16)
    even = profile((0, 0, 10, 0, 0), 0.5)
    assert even.log_likelihood == 0 == even.slope and even.variance > 0
    assert profile((0, 0, 0, 0, 50), 0.9).log_likelihood == pytest.approx(50 * np.log(0.9))
    assert profile(NO_PAIRS, 0.3).log_likelihood == 0


def test_no_distribution_with_the_mean_is_likelier() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = rng.integers(0, 9, 5) * rng.integers(0, 2, 5)
        drawn[rng.integers(5)] += 1
        counts: Counts = tuple(drawn.tolist())
        mean = float(rng.uniform(0.05, 0.95))
        found = profile(counts, mean).log_likelihood
        tried = rng.dirichlet(np.full(5, 0.7), 4000)
        # Mixed with the outcome 0 or 1 each distribution has the mean.
        score = tried @ SCORES
        share = np.where(score > mean, mean / score, (1 - mean) / (1 - score))[:, None]
        tried = share * tried + (1 - share) * np.eye(5)[np.where(score > mean, 0, 4)]
        seen = drawn > 0
        others = np.log(tried[:, seen]) @ drawn[seen] - np.log(drawn[seen] / drawn.sum()) @ drawn[seen]
        assert found - 3.0 + 0.1 * found < others.max() <= found + 1e-9
