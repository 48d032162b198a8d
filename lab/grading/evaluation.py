"""Agreement of predictions with scores, and by score, length and prompt."""

from collections.abc import Sequence

import numpy as np

from lab.grading.thresholds import Thresholds, quadratic_kappa
from lab.plots.media import Cell, Table

_LENGTHS = 5  # groups of equally many essays


def agreement(truth: np.ndarray, predictions: np.ndarray, thresholds: Thresholds) -> dict[str, float]:
    """Metrics of predictions [N, O] of the scores [N, O], NaN where missing; the first column is the score."""
    errors = predictions - truth
    traits = errors[:, 1:][np.isfinite(errors[:, 1:])]
    values = {
        "eval/qwk": quadratic_kappa(thresholds.grade(predictions[:, 0]), truth[:, 0]),
        "eval/pearson": correlation(predictions[:, 0], truth[:, 0]),
        "eval/rmse": float(np.sqrt((errors[:, 0] ** 2).mean())),
    }
    return values | ({"eval/trait_rmse": float(np.sqrt((traits**2).mean()))} if len(traits) else {})


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, 0 if one of them is constant."""
    deviations = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / deviations) if deviations > 0.0 else 0.0


def calibration_table(truth: np.ndarray, predictions: np.ndarray) -> Table:
    """Mean score of essays by their prediction, in groups of equally many: equal numbers are calibrated."""
    rows: list[list[Cell]] = []
    for group in np.array_split(np.argsort(predictions, kind="stable"), _LENGTHS):
        if len(group):
            rows.append([len(group), float(predictions[group].mean()), float(truth[group].mean())])
    return Table("calibration", ["essays", "predicted", "score"], rows)


def by_score(truth: np.ndarray, grades: np.ndarray, predictions: np.ndarray) -> Table:
    """Errors by true score; `exact`: essays that get this grade. (A kappa of essays of one score is always 0.)"""
    rows: list[list[Cell]] = []
    for score in np.unique(truth):
        mask = truth == score
        rows.append([f"{score:g}", *_errors(truth[mask], predictions[mask]), float((grades[mask] == score).mean())])
    return Table("by_score", ["score", "essays", "mean", "bias", "error", "exact"], rows)


def by_length(truth: np.ndarray, grades: np.ndarray, predictions: np.ndarray, words: np.ndarray) -> Table:
    """Errors by the number of words, in groups of equally many essays."""
    groups = []
    for group in np.array_split(np.argsort(words, kind="stable"), _LENGTHS):
        if len(group):
            mask = np.zeros(len(words), bool)
            mask[group] = True
            groups.append((f"{words[group].min():,} to {words[group].max():,}", mask))
    return _grouped("by_length", "words", groups, truth, grades, predictions)


def by_prompt(truth: np.ndarray, grades: np.ndarray, predictions: np.ndarray, prompts: Sequence[str]) -> Table:
    """Errors by prompt, the most frequent first."""
    names = sorted(set(prompts), key=lambda name: (-prompts.count(name), name))
    groups = [(name or "(none)", np.array([each == name for each in prompts])) for name in names]
    return _grouped("by_prompt", "prompt", groups, truth, grades, predictions)


def _grouped(
    name: str,
    what: str,
    groups: Sequence[tuple[str, np.ndarray]],
    truth: np.ndarray,
    grades: np.ndarray,
    predictions: np.ndarray,
) -> Table:
    rows: list[list[Cell]] = []
    for label, mask in groups:
        rows.append([label, *_errors(truth[mask], predictions[mask]), quadratic_kappa(grades[mask], truth[mask])])
    return Table(name, [what, "essays", "score", "bias", "error", "kappa"], rows)


def _errors(truth: np.ndarray, predictions: np.ndarray) -> list[Cell]:
    """Number of essays, mean score, mean of prediction minus score, mean absolute error."""
    errors = predictions - truth
    return [len(truth), float(truth.mean()), float(errors.mean()), float(np.abs(errors).mean())]
