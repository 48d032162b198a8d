"""Features of a whole map that do not depend on its size (Wu 2019, "KataGo", section 4.1 and appendix A)."""

from __future__ import annotations

import torch
from torch import Tensor

_MEAN_WIDTH = 14.0  # of boards from 9x9 to 19x19, around which KataGo scales the pooled features


def pool(x: Tensor, height: int, width: int) -> Tensor:
    """[B, 3 * C] of [B, C, H * W]: mean over cells, the mean scaled by the board's width, and the maximum."""
    mean = x.mean(2)
    return torch.cat([mean, mean * scaled_width(height, width), x.amax(2)], 1)


def scaled_width(height: int, width: int) -> float:
    """The width of a square of as many cells, 0 at the mean of KataGo's boards."""
    return (float(height * width) ** 0.5 - _MEAN_WIDTH) / 10.0
