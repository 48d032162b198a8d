"""The sequential test against closed forms, and its error rates in simulated matches."""

import math

import numpy as np
import pytest

from agents.arena.elo import expected_score
from agents.arena.pentanomial import NO_PAIRS
from agents.arena.sprt import Decision, Sprt
from lab.errors import UserError


def test_two_outcomes_have_the_ratio_of_the_classical_test() -> None:
    test = Sprt(0, 100)
    zero, one = expected_score(0), expected_score(100)
    expected = 30 * math.log(one / zero) + 20 * math.log((1 - one) / (1 - zero))
    assert test.llr((20, 0, 0, 0, 30)) == pytest.approx(expected)
    assert [test.lower, test.upper] == pytest.approx([-math.log(19), math.log(19)])


def test_long_matches_have_the_normal_approximation() -> None:
    # Van den Bergh, section 2: LLR = N / (2 var) (s1 - s0) (2 mean - s0 - s1).
    counts = np.array([100.0, 900, 2500, 1100, 400])
    scores = np.arange(5) / 4
    mean = counts @ scores / 5000
    variance = counts @ (scores - mean) ** 2 / 5000
    s0, s1 = expected_score(0), expected_score(10)
    expected = 5000 / (2 * variance) * (s1 - s0) * (2 * mean - s0 - s1)
    assert Sprt(0, 10).llr((100, 900, 2500, 1100, 400)) == pytest.approx(expected, rel=0.02)


def test_even_pairs_accept_a_difference_of_none() -> None:
    test = Sprt(0, 50)
    needed = math.log(19) / -math.log(2 - 2 * expected_score(50))
    assert test.decide((0, 0, math.floor(needed), 0, 0)) is None
    assert test.decide((0, 0, math.ceil(needed), 0, 0)) == "H0"
    assert test.decide((0, 0, 0, 0, 50)) == "H1"
    assert test.decide(NO_PAIRS) is None


@pytest.mark.parametrize(("elo0", "elo1"), [(5, 5), (10, 0), (math.nan, 5), (0, math.inf), (-3000, 0)])
def test_differences_that_make_no_test_are_refused(elo0: float, elo1: float) -> None:
    with pytest.raises(UserError, match="--sprt takes two Elo differences, the smaller one first"):
        Sprt(elo0, elo1)


@pytest.mark.parametrize(("elo", "wrong"), [(0.0, "H1"), (80.0, "H0")])
def test_one_decision_in_twenty_is_wrong(elo: float, wrong: Decision) -> None:
    # Pairs whose games are correlated: an even pair is likelier than independent games make it.
    test, score = Sprt(0, 80), expected_score(elo)
    chances = np.array([0.06, 0.15, 0.58, 0.15, 0.06]) + (score - 0.5) * np.array([-0.4, -0.8, 0, 0.8, 0.4]) / 0.8
    assert chances @ (np.arange(5) / 4) == pytest.approx(score)
    rng, decisions = np.random.default_rng(3), []
    for _ in range(150):
        counts, decision = [0] * 5, None
        for outcome in rng.choice(5, size=1000, p=chances):
            counts[outcome] += 1
            decision = test.decide((counts[0], counts[1], counts[2], counts[3], counts[4]))
            if decision is not None:
                break
        decisions.append(decision)
    assert None not in decisions
    assert 0.01 <= decisions.count(wrong) / 150 <= 0.09
