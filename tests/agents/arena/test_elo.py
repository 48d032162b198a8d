"""Ratings against closed forms, and intervals against simulated matches."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.arena.elo import PER_LOGIT, Pairs, expected_score, ratings
from agents.arena.pentanomial import SCORES, Counts, mean_score


def two(*counts: float) -> Pairs:
    """Player 1's pairs against player 0 with 0, 1/2, 1, 3/2 and 2 points."""
    return {(1, 0): as_counts(counts)}


def as_counts(values: Iterable[float]) -> Counts:
    a, b, c, d, e = (float(value) for value in values)
    return a, b, c, d, e


def independent(chance: float, pairs: float) -> Counts:
    """Expected counts of pairs of two independent games without draws."""
    return pairs * (1 - chance) ** 2, 0.0, pairs * 2 * chance * (1 - chance), 0.0, pairs * chance**2


def elo_of_score(score: float) -> float:
    """The difference at which a share `score` of the points is expected."""
    return 400 * math.log10(score / (1 - score))


def normal_half_width(outcomes: Counts) -> float:
    """Half the 95% interval in Elo by the normal approximation: of the mean of pairs, by the delta method."""
    counts = np.array(outcomes)
    pairs = counts.sum()
    mean = float(counts @ SCORES / pairs)
    variance = float(counts @ (np.array(SCORES) - mean) ** 2 / pairs)
    return 1.96 * PER_LOGIT * math.sqrt(variance / pairs) / (mean * (1 - mean))


def test_the_expected_score_is_elos() -> None:
    assert expected_score(0) == 0.5 and expected_score(400) == pytest.approx(10 / 11)


def test_two_players_have_the_closed_form() -> None:
    for counts in ((5, 0, 15, 0, 30), (0, 10, 0, 10, 30), (2, 3, 15, 3, 27)):
        score = mean_score(as_counts(counts))
        assert ratings(["a", "b"], two(*counts))[1].elo == pytest.approx(elo_of_score(score), abs=1e-3)


@pytest.mark.parametrize("counts", [independent(0.6, 5000), (100.0, 900.0, 2500.0, 1100.0, 400.0)])
def test_the_interval_of_two_players_is_close_to_the_normal_one_in_a_long_match(counts: Counts) -> None:
    rating = ratings(["a", "b"], two(*counts))[1]
    half = normal_half_width(counts)
    assert rating.high - rating.elo == pytest.approx(half, rel=0.02)
    assert rating.elo - rating.low == pytest.approx(half, rel=0.02)


def test_independent_games_have_the_interval_of_a_coin() -> None:
    rating = ratings(["a", "b"], two(*independent(0.6, 5000)))[1]
    half = 1.96 * PER_LOGIT / math.sqrt(10_000 * 0.6 * 0.4)
    assert (rating.high - rating.low) / 2 == pytest.approx(half, rel=0.01)


def test_games_that_the_opening_decides_say_little_of_the_players() -> None:
    rating = ratings(["a", "b"], two(20, 0, 1950, 0, 30))[1]
    alone = 1.96 * PER_LOGIT / math.sqrt(4000 / 4)
    assert (rating.high - rating.low) / 2 == pytest.approx(normal_half_width((20, 0, 1950, 0, 30)), rel=0.05)
    assert (rating.high - rating.low) / 2 < alone / 4


def test_even_pairs_alone_are_even() -> None:
    rating = ratings(["a", "b"], two(0, 0, 10, 0, 0))[1]
    assert rating.elo == pytest.approx(0.0, abs=1e-6)
    # With mean s > 1/2, two wins have at least the probability 2s - 1: the likelihood is (2 - 2s) ** 10.
    assert rating.high == pytest.approx(elo_of_score(1 - math.exp(-0.19207) / 2), abs=0.1)
    assert rating.low == pytest.approx(-rating.high, abs=0.1)


def test_a_clean_sweep_is_bounded_on_one_side() -> None:
    rating = ratings(["a", "b"], two(0, 0, 0, 0, 50))[1]
    assert rating.high == math.inf and not rating.bounded
    # The likelihood s ** 50 of 50 pairs has dropped by 1.92 at s = exp(-0.0384).
    assert rating.low == pytest.approx(elo_of_score(math.exp(-1.9207 / 50)), abs=0.5)
    assert rating.elo == pytest.approx(elo_of_score(100.5 / 101), abs=1e-3)
    assert ratings(["a", "b"], two(50, 0, 0, 0, 0))[1].low == -math.inf


def test_a_pool_recovers_the_strengths_that_made_its_expected_points() -> None:
    strengths = np.array([0.0, 0.7, -0.4, 1.5])
    pairs = {
        (a, b): independent(expected_score(PER_LOGIT * (strengths[a] - strengths[b])), 10)
        for a in range(4)
        for b in range(a)
    }
    found = ratings(list("abcd"), pairs)
    assert [r.elo for r in found] == pytest.approx(list(PER_LOGIT * strengths), abs=1e-3)
    assert all(r.low < r.elo < r.high for r in found[1:])


def test_an_interval_of_a_pool_lies_where_the_normal_one_does() -> None:
    # All players are even; by symmetry each difference has the variance of 2 / 3 of a pairing's: information adds up.
    counts = independent(0.5, 2000)
    found = ratings(list("abc"), {(0, 1): counts, (0, 2): counts, (1, 2): counts})
    half = normal_half_width(counts) * math.sqrt(2 / 3)
    assert found[1].high == pytest.approx(half, rel=0.02) and found[2].low == pytest.approx(-half, rel=0.02)


def test_players_who_sweep_the_anchor_are_still_told_apart() -> None:
    swept, ahead = (0.0, 0.0, 0.0, 0.0, 25.0), (1.0, 0.0, 13.0, 0.0, 11.0)
    pairs = {(1, 0): swept, (2, 0): swept, (1, 2): ahead}
    weak, strong, middle = ratings(["random", "strong", "middle"], pairs)
    assert strong.elo > middle.elo > weak.elo
    assert strong.high == math.inf and strong.low > 200
    # Seen from the middle player, the strong one is bounded on both sides.
    assert ratings(["random", "strong", "middle"], pairs, anchor=2)[1].bounded


def test_players_that_never_met_are_refused() -> None:
    with pytest.raises(ValueError, match="not connected by games"):
        ratings(["a", "b", "c"], {(0, 1): (0.0, 0.0, 1.0, 0.0, 0.0)})


def simulated(rng: np.random.Generator, elo: float, pairs: int, matches: int, opening: float) -> NDArray[np.int64]:
    """Counts [matches, 5] of player 1's pairs: an opening gives the first player `opening` times a normal advantage in
    logits, and an eighth of the games is drawn."""
    advantage = opening * rng.standard_normal((matches, pairs, 1)) * np.array([1.0, -1.0])
    chance = 1 / (1 + np.exp(-(elo / PER_LOGIT + advantage)))
    points = np.where(rng.random(chance.shape) < 0.125, 0.5, rng.random(chance.shape) < chance)
    outcome = (2 * points.sum(-1)).astype(int)
    return np.stack([(outcome == kind).sum(-1) for kind in range(5)], -1)


def coverage(elo: float, opening: float, matches: int) -> float:
    """The share of matches of 60 pairs whose interval contains the strength that the mean score of many pairs has."""
    rng = np.random.default_rng(1)
    truth = elo_of_score(mean_score(as_counts(simulated(rng, elo, 400_000, 1, opening)[0])))
    found = [ratings(["a", "b"], two(*counts))[1] for counts in simulated(rng, elo, 60, matches, opening)]
    return sum(one.low <= truth <= one.high for one in found) / matches


def test_intervals_cover_the_truth_in_95_of_100_matches() -> None:
    assert 0.9 <= coverage(0.0, 3.0, matches=100) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("elo", "opening"), [(0.0, 0.0), (60.0, 1.0), (150.0, 3.0), (500.0, 3.0)])
def test_intervals_cover_the_truth_in_95_of_100_matches_of_other_players(elo: float, opening: float) -> None:
    assert 0.93 <= coverage(elo, opening, matches=1500) <= 0.97
