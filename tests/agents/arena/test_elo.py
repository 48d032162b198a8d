"""Ratings against closed forms, and intervals against simulated matches."""

import math

import numpy as np
import pytest

from agents.arena.elo import PER_LOGIT, Matrix, ratings


def two(points: float, games: float) -> tuple[Matrix, Matrix]:
    """Player 1's points against player 0."""
    return np.array([[0.0, games - points], [points, 0.0]]), np.array([[0.0, games], [games, 0.0]])


def elo_of_score(score: float) -> float:
    """The difference at which a share `score` of the points is expected."""
    return 400 * math.log10(score / (1 - score))


def test_two_players_have_the_closed_form() -> None:
    rating = ratings(["a", "b"], *two(75, 100))[1]
    assert rating.elo == pytest.approx(400 * math.log10(3))


def test_the_interval_of_two_players_is_close_to_the_normal_one_in_a_long_match() -> None:
    rating = ratings(["a", "b"], *two(6000, 10_000))[1]
    half = 1.96 * PER_LOGIT / math.sqrt(10_000 * 0.6 * 0.4)
    assert rating.high - rating.elo == pytest.approx(half, rel=0.02)
    assert rating.elo - rating.low == pytest.approx(half, rel=0.02)


def test_points_from_draws_alone_are_even() -> None:
    rating = ratings(["a", "b"], *two(5, 10))[1]
    assert rating.elo == pytest.approx(0.0, abs=1e-6)
    assert rating.low == pytest.approx(-rating.high, abs=0.1)


def test_a_clean_sweep_is_bounded_on_one_side() -> None:
    rating = ratings(["a", "b"], *two(100, 100))[1]
    assert rating.high == math.inf and not rating.bounded
    # The likelihood p ** 100 has dropped by 1.92 at p = exp(-0.0192).
    assert rating.low == pytest.approx(elo_of_score(math.exp(-1.9207 / 100)), abs=0.5)
    assert rating.elo == pytest.approx(elo_of_score(100.5 / 101))
    assert ratings(["a", "b"], *two(0, 100))[1].low == -math.inf


def test_a_pool_recovers_the_strengths_that_made_its_expected_points() -> None:
    strengths = np.array([0.0, 0.7, -0.4, 1.5])
    games = 20 * (1 - np.eye(4))
    score = games / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    found = ratings(list("abcd"), score, games)
    assert [r.elo for r in found] == pytest.approx(list(PER_LOGIT * strengths), abs=1e-3)
    assert all(r.low < r.elo < r.high for r in found[1:])


def test_players_who_sweep_the_anchor_are_still_told_apart() -> None:
    score = np.array([[0, 0, 0], [50, 0, 35], [50, 15, 0]], dtype=float)
    weak, strong, middle = ratings(["random", "strong", "middle"], score, score + score.T)
    assert strong.elo > middle.elo > weak.elo
    assert strong.high == math.inf and strong.low > 200
    # Seen from the middle player, the strong one is bounded on both sides.
    assert ratings(["random", "strong", "middle"], score, score + score.T, anchor=2)[1].bounded


def test_players_that_never_met_are_refused() -> None:
    games = np.zeros((3, 3))
    games[0, 1] = games[1, 0] = 2.0
    with pytest.raises(ValueError, match="not connected by games"):
        ratings(["a", "b", "c"], games / 2, games)


@pytest.mark.parametrize("chance", [0.5, 0.7, 0.95])
def test_intervals_cover_the_truth_in_95_of_100_matches(chance: float) -> None:
    rng = np.random.default_rng(1)
    truth, matches, games = elo_of_score(chance), 400, 60
    covered = 0
    for points in rng.binomial(games, chance, size=matches):
        rating = ratings(["a", "b"], *two(float(points), games))[1]
        covered += rating.low <= truth <= rating.high
    assert 0.92 <= covered / matches <= 0.99
