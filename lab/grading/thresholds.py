"""Grades from predictions: cut points for the quadratic weighted kappa, agreement, and intervals."""

from typing import NamedTuple

import numpy as np


def quadratic_kappa(one: np.ndarray, other: np.ndarray) -> float:
    """Quadratic weighted kappa of scores [N] and [N] (Cohen 1968): 1 minus the squared difference by that of chance.

    For equally spaced grades it is the usual one; 0 where both are constant.
    """
    observed = float(np.mean((one - other) ** 2))
    chance = float(one.var() + other.var() + (one.mean() - other.mean()) ** 2)
    return 1.0 - observed / chance if chance > 0.0 else 0.0


class Thresholds(NamedTuple):
    """grades float64 [G], increasing; cuts float64 [G - 1]: a prediction below cuts[g] has at most grades[g]."""

    grades: np.ndarray
    cuts: np.ndarray

    def grade(self, predictions: np.ndarray) -> np.ndarray:
        """Grades float64 [N] of predictions [N]."""
        return self.grades[np.searchsorted(self.cuts, predictions, side="right")]


def fit_thresholds(predictions: np.ndarray, scores: np.ndarray, grades: np.ndarray) -> Thresholds:
    """Cut points for predictions of essays that were not trained on.

    A regression's predictions vary less than the scores. At a given correlation the kappa is largest where mean and
    deviation are those of the scores, so cuts are the middles between grades, brought to the scale of the predictions.
    Two numbers are fitted, not one for every cut: a few hundred essays do not determine more.
    """
    middles = (grades[1:] + grades[:-1]) / 2.0
    deviation = scores.std()
    narrower = predictions.std() / deviation if deviation > 0.0 else 1.0
    return Thresholds(grades, predictions.mean() + (middles - scores.mean()) * narrower)


def quantile_grades(predictions: np.ndarray, known: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Grades [N] of predictions [N] such that as many have each grade as in `scores` [M] of predictions `known` [M]."""
    places = np.searchsorted(np.sort(known), predictions) / len(known)
    ordered = np.sort(scores)
    return ordered[np.minimum((places * len(ordered)).astype(np.int64), len(ordered) - 1)]


def half_width(errors: np.ndarray, coverage: float) -> float:
    """Half the width of an interval that holds the score of a further essay with probability `coverage`.

    errors: of essays that were not trained on [N]; split conformal prediction (Lei et al. 2018): the
    ceil((N + 1) coverage)-th smallest, the largest if that is beyond N.
    """
    rank = int(np.ceil((len(errors) + 1) * coverage))
    return float(np.sort(np.abs(errors))[min(rank, len(errors)) - 1])
