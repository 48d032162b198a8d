"""Average precision and the cost of reviews against scikit-learn and counting by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from lab.supervised.ranking import average_precision, review


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_scikit_learns(ties: bool) -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=300)
    scores = scores.round(0) if ties else scores
    positive = generator.random(300) < 0.1
    ours = average_precision(torch.from_numpy(scores), torch.from_numpy(positive))
    assert ours == pytest.approx(average_precision_score(positive, scores), abs=1e-12)


def test_without_positives_it_is_zero() -> None:
    assert average_precision(torch.rand(5), torch.zeros(5).bool()) == 0.0


def test_reviews_go_to_the_highest_expected_cost() -> None:
    scores = torch.tensor([0.9, 0.5, 0.4, 0.1])
    positive = torch.tensor([True, False, True, True])
    amounts = torch.tensor([10.0, 50.0, 100.0, 7.0])
    # Expected costs are 9, 25, 40 and 0.7: half the rows are the third and the second.
    found = review(scores, positive, fraction=0.5, amounts=amounts, review_cost=2.0)
    assert found.recall == pytest.approx(1 / 3)
    assert found.cost == pytest.approx(1000.0 * (10.0 + 7.0 + 2 * 2.0) / 4)


def test_without_amounts_a_miss_costs_one() -> None:
    scores, positive = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([False, True, True])
    assert review(scores, positive, fraction=0.34).cost == pytest.approx(1000.0 * 2 / 3)
    assert review(scores, positive, fraction=1.0) == (1.0, 0.0)
