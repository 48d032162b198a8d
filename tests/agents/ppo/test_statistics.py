"""Statistics of returns."""

import numpy as np
import pytest

from agents.ppo import statistics
from agents.ppo.statistics import summarise


def test_the_interval_is_that_of_the_mean() -> None:
    returns = np.random.default_rng(1).normal(100.0, 10.0, 400)
    found = summarise(returns)
    error = 1.96 * returns.std(ddof=1) / np.sqrt(400)
    assert found.interval is not None
    assert found.interval == pytest.approx((returns.mean() - error, returns.mean() + error), abs=0.1)
    assert (found.episodes, found.mean, found.minimum) == (400, returns.mean(), returns.min())
    assert found.quartiles == pytest.approx(np.quantile(returns, [0.25, 0.5, 0.75]))


def test_the_interval_does_not_depend_on_how_many_draws_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = np.arange(30.0)
    whole = summarise(returns)
    monkeypatch.setattr(statistics, "_AT_ONCE", 1000)
    assert summarise(returns) == whole


def test_equal_returns_have_no_spread_and_a_single_one_has_none_that_is_known() -> None:
    assert summarise(np.full(5, 3.0)).interval == (3.0, 3.0)
    single = summarise(np.array([7.0]))
    assert (single.mean, single.interval, single.std) == (7.0, None, None)
