"""Evaluation of a ranking: areas under curves, and the cost at a budget of reviews."""

from typing import NamedTuple

import torch
from torch import Tensor

from lab.run.metrics import Metric

AUPRC = Metric("eval/auprc", "fraction", "area under the precision-recall curve of the test set", "eval", True)
AUROC = Metric(
    "eval/auroc",
    "fraction",
    "pairs of a positive (an anomaly, the class to detect) and another test sample in which the positive scores higher",
    "eval",
    True,
)


def auroc(scores: Tensor, positive: Tensor) -> float:
    """Area under the ROC curve of scores [N] (Mann and Whitney 1947): the fraction of pairs in which the positive has
    the higher score; ties count half. 0.5 if all or none are positive.
    """
    count, total = int(positive.sum()), len(scores)
    if not 0 < count < total:
        return 0.5
    _, inverse, counts = scores.double().unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts.double() - 1.0) / 2.0)[inverse]
    above = ranks[positive].sum() - count * (count + 1) / 2.0
    return float(above / (count * (total - count)))


def average_precision(scores: Tensor, positive: Tensor) -> float:
    """Area under the precision-recall curve of scores [N] as a sum of steps (AUPRC); rows with one score are one step.

    A random order has the fraction of positives. 0 if none are positive.
    """
    count = int(positive.sum())
    if count == 0:
        return 0.0
    _, inverse, rows = (-scores.double()).unique(return_inverse=True, return_counts=True)
    found = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, inverse, positive.double())
    precision = found.cumsum(0) / rows.cumsum(0)
    return float((precision * found).sum() / count)


class Reviews(NamedTuple):
    """The result of reviewing a fraction of the rows: recall, and cost per 1,000 rows."""

    recall: float
    cost: float


def review(
    scores: Tensor, positive: Tensor, *, fraction: float, amounts: Tensor | None = None, review_cost: float = 0.0
) -> Reviews:
    """Review the rows with the highest scores [N], or the highest expected loss, score times amount.

    A positive that is not reviewed costs its amount, by default 1; a review costs `review_cost`. At least one row is
    reviewed, if `fraction` is above 0. Ties are broken by the order of the rows.
    """
    weights = torch.ones(len(scores)).double() if amounts is None else amounts.double()
    count = min(len(scores), max(1, round(fraction * len(scores)))) if fraction > 0.0 else 0
    chosen = (scores.double() * weights).argsort(descending=True, stable=True)[:count]
    caught = positive[chosen]
    lost = weights[positive].sum() - weights[chosen][caught].sum()
    recall = float(caught.sum()) / max(1, int(positive.sum()))
    return Reviews(recall, 1000.0 * (float(lost) + count * review_cost) / len(scores))
