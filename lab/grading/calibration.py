"""What validation essays say about predictions: their offset, the thresholds of grades, how far scores are off."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from lab.grading.thresholds import Thresholds, fit_thresholds, half_width


class Calibration(NamedTuple):
    """predictions: float64 [N, O] of the validation essays, with the offset; truth: float64 [N], their scores; offset:
    what is added to the score; half_width: of the interval about a prediction."""

    predictions: np.ndarray
    truth: np.ndarray
    offset: float
    thresholds: Thresholds
    half_width: float

    def of(self, predictions: np.ndarray) -> Thresholds:
        """Thresholds for other predictions [N] of the same essays."""
        return fit_thresholds(predictions, self.truth, self.thresholds.grades)

    def to_state(self) -> dict[str, Any]:
        return {
            "grades": torch.from_numpy(self.thresholds.grades),
            "cuts": torch.from_numpy(self.thresholds.cuts),
            "offset": self.offset,
            "half_width": self.half_width,
        }


def calibrate(predictions: np.ndarray, truth: np.ndarray, grades: np.ndarray, coverage: float) -> Calibration:
    """The offset gives predictions the mean of the scores: doubts about the order cost every essay a little.

    Raises FloatingPointError if predictions are NaN or infinite.
    """
    if not np.isfinite(predictions).all():
        raise FloatingPointError("scores of validation essays are NaN or infinite")
    offset = float((truth - predictions[:, 0]).mean())
    moved = predictions.copy()
    moved[:, 0] += offset
    thresholds = fit_thresholds(moved[:, 0], truth, grades)
    return Calibration(moved, truth, offset, thresholds, half_width(moved[:, 0] - truth, coverage))


def from_state(state: Mapping[str, Any]) -> tuple[Thresholds, float, float]:
    """Thresholds, half width and offset of `Calibration.to_state`."""
    thresholds = Thresholds(state["grades"].numpy(), state["cuts"].numpy())
    return thresholds, float(state["half_width"]), float(state["offset"])
