"""One grader, or the average of several: the folds of the same essays."""

from collections.abc import Sequence

import numpy as np

from lab.errors import UserError
from lab.grading.grader import Grader
from lab.grading.thresholds import Thresholds


class Ensemble:
    """Scores, cut points and intervals are the means of those of the graders."""

    def __init__(self, graders: Sequence[Grader]) -> None:
        """Raises UserError for graders of different scores."""
        first = graders[0]
        self.graders, self.names, self.grades = tuple(graders), first.names, first.thresholds.grades
        for other in graders[1:]:
            if other.names != first.names or not np.array_equal(other.thresholds.grades, first.thresholds.grades):
                raise UserError("these runs grade different scores or traits and cannot be averaged: give folds of one")
        self.thresholds = Thresholds(self.grades, np.mean([grader.thresholds.cuts for grader in graders], 0))
        self.half_width = float(np.mean([grader.half_width for grader in graders]))
        self.coverage = first.config.evaluate.coverage

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Scores float64 [N, O] in their units."""
        return np.mean([grader.predict(texts) for grader in self.graders], 0)

    def interval(self, estimate: float) -> tuple[float, float]:
        """Lowest and highest score that the run's coverage allows for."""
        low, high = np.clip([estimate - self.half_width, estimate + self.half_width], self.grades[0], self.grades[-1])
        return float(low), float(high)
