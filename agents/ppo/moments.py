"""Running mean and variance, for the normalisation of observations and rewards."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lab.files.plain import same_form


class Moments:
    """Mean and variance [D] of all rows seen so far, in float64 (Chan et al. 1979, the parallel formula)."""

    def __init__(self, size: int) -> None:
        self.count = 0.0
        self.mean = torch.zeros(size, dtype=torch.float64)
        self._squares = torch.zeros(size, dtype=torch.float64)

    @property
    def variance(self) -> Tensor:
        """The variance; ones before the second row."""
        return self._squares / self.count if self.count > 1 else torch.ones_like(self.mean)

    def update(self, rows: Tensor) -> None:
        """Add rows [N, D]."""
        if not len(rows):
            return
        rows = rows.detach().to("cpu", torch.float64)
        mean = rows.sum(0) / len(rows)
        self._merge(float(len(rows)), mean, (rows - mean).square().sum(0))

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "mean": self.mean.clone(), "squares": self._squares.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`. Raises ValueError for moments that no rows have."""
        count, squares = state["count"], same_form(state["squares"], self._squares, "the sum of squares")
        if type(count) is not float or not 0.0 <= count < math.inf or bool((squares < 0).any()):
            raise ValueError("the number of rows or a sum of squares is damaged")
        self.mean = same_form(state["mean"], self.mean, "the mean").clone()
        self.count, self._squares = count, squares.clone()

    def _merge(self, count: float, mean: Tensor, squares: Tensor) -> None:
        total = self.count + count
        difference = mean - self.mean
        self.mean = self.mean + difference * (count / total)
        self._squares = self._squares + squares + difference.square() * (self.count * count / total)
        self.count = total
