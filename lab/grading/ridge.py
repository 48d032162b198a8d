"""Ridge regression in closed form with leave-one-out predictions, from the inner products of the examples."""

from typing import NamedTuple

import numpy as np

PENALTIES = np.geomspace(0.01, 30.0, 14)


class Ridge(NamedTuple):
    """dual: coefficients of the examples float64 [N, O]; left_out: the prediction of each example by a regression on
    all others, float64 [N, O]; penalty: that of the least squared error of these predictions."""

    dual: np.ndarray
    left_out: np.ndarray
    penalty: float


def fit_ridge(gram: np.ndarray, targets: np.ndarray) -> Ridge:
    """Fit targets [N, O] of mean 0 to inner products [N, N]; the first column chooses the penalty.

    The error of example i when it is left out is dual_i / inverse_ii (Hastie et al. 2009, "The elements of statistical
    learning", 7.10), so that one decomposition serves all penalties and all examples.
    """
    values, vectors = np.linalg.eigh(gram)
    rotated, squares = vectors.T @ targets, vectors**2
    best: Ridge | None = None
    least = np.inf
    for penalty in PENALTIES:
        inverse = 1.0 / (np.maximum(values, 0.0) + penalty)
        dual = vectors @ (inverse[:, None] * rotated)
        errors = dual / (squares @ inverse)[:, None]
        error = float((errors[:, 0] ** 2).mean())
        if best is None or error < least:
            best, least = Ridge(dual, targets - errors, float(penalty)), error
    assert best is not None
    return best
