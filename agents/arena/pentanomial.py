"""Results of pairs of games: the likelihood of a mean score without a model of draws or of openings.

The two games of an opening, one with each colour, are not independent: an opening that favours one colour tends to give
a win each. A pair is therefore one observation with five outcomes, 0, 1/2, 1, 3/2 or 2 points of 2. Nothing is assumed
on their probabilities but the mean score; a likelihood of the mean is the largest of all such distributions.
Source: Michel Van den Bergh, "A practical introduction to the GSPRT" (2020,
https://hardy.uhasselt.be/Fishtest/GSPRT_approximation.pdf); Art B. Owen, "Empirical Likelihood" (2001), section 2.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Scores of the five outcomes, points over two games."""

Counts = tuple[float, float, float, float, float]
"""Number of pairs with 0, 1/2, 1, 3/2 and 2 points."""

NO_PAIRS: Counts = (0.0, 0.0, 0.0, 0.0, 0.0)
_ITERATIONS = 100
_NARROW = 1e-2  # a floor of the variance, as a share of the largest possible one: it is zero where pairs ended alike


class Profile(NamedTuple):
    """The likelihood at a mean score.

    log_likelihood: relative to that of the observed mean, so at most 0. slope: its derivative by the mean score.
    variance: of one pair's score, under the likeliest distribution with this mean; with a small positive floor.
    """

    log_likelihood: float
    slope: float
    variance: float


def counts_of(results: Sequence[int]) -> Counts:
    """The outcomes of pairs; results: 1, 0 or -1 per game, where games 2k and 2k + 1 are a pair."""
    counts = [0.0] * 5
    for first, second in zip(results[::2], results[1::2], strict=True):
        counts[first + second + 2] += 1
    return (counts[0], counts[1], counts[2], counts[3], counts[4])


def mean_score(counts: Counts) -> float:
    """The observed mean score; pairs must not be none."""
    return sum(n * a for n, a in zip(counts, SCORES, strict=True)) / sum(counts)


def profile(counts: Counts, mean: float) -> Profile:
    """The likelihood of a mean score in (0, 1), given the outcomes.

    The likeliest distribution with mean s is p_i = n_i / (N (1 + m (a_i - s))), where the multiplier m in
    [-1 / (1 - s), 1 / s] minimises -sum n_i log(1 + m (a_i - s)). At an end of that interval the outcome 1 or 0, which
    was not observed, takes what is left of the probability.
    """
    seen = [(n, a - mean) for n, a in zip(counts, SCORES, strict=True) if n > 0]
    total = sum(counts)
    multiplier = _multiplier(seen, mean, worst=counts[0] > 0, best=counts[4] > 0)
    shares = [(n, d, 1.0 + multiplier * d) for n, d in seen]
    likelihood = -sum(n * math.log(share) for n, _, share in shares)
    probabilities = [(n / (share * total), d) for n, d, share in shares]
    left = max(0.0, 1.0 - sum(p for p, _ in probabilities))
    end = 1.0 - mean if multiplier < 0 else -mean
    variance = sum(p * d * d for p, d in probabilities) + left * end * end
    return Profile(likelihood, multiplier * total, max(variance, _NARROW * mean * (1.0 - mean)))


def _multiplier(seen: Sequence[tuple[float, float]], mean: float, *, worst: bool, best: bool) -> float:
    """The multiplier, given (count, distance from the mean) of what was observed: Newton's method in a bracket.

    worst, best: whether the outcomes 0 and 1 were observed; the slope is infinite at the end that belongs to them.
    """
    if abs(sum(n * d for n, d in seen)) <= 1e-12 * sum(n for n, _ in seen):
        return 0.0  # the observed mean; where all pairs ended alike, the slope jumps there
    low, high = -1.0 / (1.0 - mean), 1.0 / mean
    # The slope falls with the multiplier.
    if not best and sum(n * d / (1.0 + low * d) for n, d in seen) <= 0:
        return low
    if not worst and sum(n * d / (1.0 + high * d) for n, d in seen) >= 0:
        return high
    found = 0.0
    for _ in range(_ITERATIONS):
        slope = curvature = 0.0
        for n, d in seen:
            ratio = d / (1.0 + found * d)
            slope += n * ratio
            curvature += n * ratio * ratio
        if slope > 0:
            low = found
        else:
            high = found
        better = found + slope / curvature
        if not low < better < high:
            better = (low + high) / 2
        change, found = abs(better - found), better
        if change <= 1e-11 * (1.0 + abs(found)):
            break
    return found
