"""The two scores by trained networks: 0.5 and 0 where they must be, and the error that theory gives."""

import math

import pytest
import torch

from gans.series.config import SeriesEvaluateConfig, SyntheticConfig
from gans.series.evaluation import SeriesMetrics
from gans.series.synthetic import autoregressive
from gans.series.trained_scores import discriminative_score, predictive_score
from tests.gans.small_series import DEVICE

GRADING = SeriesEvaluateConfig(score_steps=150, score_batch_size=64, score_hidden=8, score_learning_rate=0.02)


def process(autocorrelation: float, seed: int, count: int = 800) -> torch.Tensor:
    return autoregressive(SyntheticConfig(series=count, channels=1, autocorrelation=autocorrelation), 8, seed)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_what_is_alike_cannot_be_told_apart() -> None:
    # 400 series are judged: the share of right answers is within three deviations of a half.
    assert discriminative_score(process(0.8, 1), process(0.8, 2), GRADING, 0, DEVICE) < 3 * 0.5 / math.sqrt(400)


def test_what_differs_is_told_apart() -> None:
    real = process(0.9, 1)
    assert discriminative_score(real, real + 4.0, GRADING, 0, DEVICE) > 0.45
    # The order of the steps alone gives these away.
    assert discriminative_score(real, process(-0.9, 2), GRADING, 0, DEVICE) > 0.4


def test_a_copy_of_the_real_series_predicts_as_well_as_theory_allows() -> None:
    # x given its past is normal about 0.8 x: the mean absolute error of the median is sqrt(2 / pi) deviations.
    best = math.sqrt(1 - 0.8**2) * math.sqrt(2 / math.pi)
    found = predictive_score(process(0.8, 1, 3000), process(0.8, 2, 3000), GRADING, 0, DEVICE)
    assert best * 0.98 < found < best * 1.06


def test_wrong_dynamics_predict_as_badly_as_theory_says() -> None:
    # A predictor of -0.8 x is off by 1.6 x besides the shock: normal with variance 1.6**2 + 1 - 0.8**2.
    expected = math.sqrt(1.6**2 + 1 - 0.8**2) * math.sqrt(2 / math.pi)
    found = predictive_score(process(0.8, 1, 3000), process(-0.8, 2, 3000), GRADING, 0, DEVICE)
    assert found == pytest.approx(expected, rel=0.1)


def test_scores_come_again_and_leave_the_random_state_alone() -> None:
    grading = SeriesEvaluateConfig(score_steps=5, score_hidden=4)
    state = torch.get_rng_state()
    scores = SeriesMetrics(process(0.8, 1, 40), process(0.8, 2, 40), grading, 3, DEVICE)
    found = scores.evaluate(process(0.5, 3, 40)), scores.floor()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(99)
    again = SeriesMetrics(process(0.8, 1, 40), process(0.8, 2, 40), grading, 3, DEVICE)
    assert (again.evaluate(process(0.5, 3, 40)), again.floor()) == found
    assert {f"{name}_floor" for name in found[0]} == set(found[1])
