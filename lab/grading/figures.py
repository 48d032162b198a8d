"""Figures of predictions."""

import numpy as np

from lab.plots.figures import Curve, Plot, plot, plots


def scatter(truth: np.ndarray, predictions: np.ndarray, name: str) -> np.ndarray:
    """Predictions [N] against scores [N], and the line on which they agree: uint8 [H, W, 3]."""
    return plot(_against(truth, predictions, name), size=(520, 440))


def error_page(truth: np.ndarray, predictions: np.ndarray, words: np.ndarray, name: str) -> np.ndarray:
    """Predictions against scores, and errors against the number of words: uint8 [H, W, 3]."""
    errors = Curve("", words.tolist(), (predictions - truth).tolist(), dots=True)
    level = Curve("", [float(words.min()), float(words.max())], [0.0, 0.0], dashed=True)
    by_words = Plot([errors, level], "prediction minus score", "words", log_x=True)
    return plots([_against(truth, predictions, name), by_words], size=(480, 400))


def _against(truth: np.ndarray, predictions: np.ndarray, name: str) -> Plot:
    ends = [float(min(truth.min(), predictions.min())), float(max(truth.max(), predictions.max()))]
    # Essays of one score are drawn side by side: many of them have it.
    spread = np.diff(np.unique(truth)).min(initial=1.0) * 0.35
    places = truth + spread * (np.modf(np.arange(len(truth)) * 0.618)[0] - 0.5)
    dots = Curve("essays", places.tolist(), predictions.tolist(), dots=True)
    return Plot([dots, Curve("equal", ends, ends, dashed=True)], name, "score", "prediction")
