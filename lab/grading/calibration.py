"""What validation essays say about predictions: the thresholds of grades, and how far scores are from them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from lab.grading.thresholds import Thresholds, fit_thresholds, half_width


class Calibration(NamedTuple):
    """predictions: float64 [N, O] of the validation essays; truth: float64 [N], their scores; half_width: of the
    interval about a prediction."""

    predictions: np.ndarray
    truth: np.ndarray
    thresholds: Thresholds
    half_width: float

    def of(self, predictions: np.ndarray) -> Thresholds:
        """Thresholds for other predictions [N] of the same essays."""
        return fit_thresholds(predictions, self.truth, self.thresholds.grades)

    def to_state(self) -> dict[str, Any]:
        return {
            "grades": torch.from_numpy(self.thresholds.grades),
            "cuts": torch.from_numpy(self.thresholds.cuts),
            "half_width": self.half_width,
        }


def calibrate(predictions: np.ndarray, truth: np.ndarray, grades: np.ndarray, coverage: float) -> Calibration:
    """Raises FloatingPointError if predictions are NaN or infinite."""
    if not np.isfinite(predictions).all():
        raise FloatingPointError("scores of validation essays are NaN or infinite")
    thresholds = fit_thresholds(predictions[:, 0], truth, grades)
    return Calibration(predictions, truth, thresholds, half_width(predictions[:, 0] - truth, coverage))


def from_state(state: Mapping[str, Any]) -> tuple[Thresholds, float]:
    return Thresholds(state["grades"].numpy(), state["cuts"].numpy()), float(state["half_width"])
