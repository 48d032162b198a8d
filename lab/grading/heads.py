"""What the outputs of the network stand for: scores, or the logits of being above each grade."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.train.step import LossSum

_SHARPNESS = 2.0  # per standard deviation of a score, at the start


class SquaredHead(nn.Module):
    """Outputs [B, O] are the standardized scores. weights: float32 [O], of each score in the loss."""

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)

    def loss(self, outputs: Tensor, targets: Tensor) -> LossSum:
        """Sum of the weighted squared errors over essays; targets [B, O] that are NaN have none."""
        errors = torch.where(targets.isnan(), 0.0, outputs - targets.nan_to_num())
        return LossSum((errors**2 * self.weights).sum(), len(targets))

    def scores(self, outputs: Tensor) -> Tensor:
        """Standardized scores [B, O]."""
        return outputs


class OrdinalHead(nn.Module):
    """Outputs [B, O] are latent: "the score is above grade g" has the logit sharpness (output - cut_g), with cuts and
    sharpness learned (McCullagh 1980, the proportional odds model). Cuts start in the middles between grades.

    grades: standardized float32 [O, G], NaN where a score has fewer.
    """

    weights: Tensor
    gaps: Tensor
    middles: Tensor
    lowest: Tensor

    def __init__(self, weights: Tensor, grades: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("gaps", grades.diff(dim=1), persistent=False)
        self.register_buffer("middles", (grades[:, 1:] + grades[:, :-1]) / 2.0, persistent=False)
        self.register_buffer("lowest", grades[:, 0].clone(), persistent=False)
        self.cuts = nn.Parameter(self.middles.nan_to_num())
        self.sharpness = nn.Parameter(torch.full((len(grades),), _SHARPNESS).log())

    def loss(self, outputs: Tensor, targets: Tensor) -> LossSum:
        """Sum of the weighted cross-entropies of all grades over essays; targets [B, O] that are NaN have none."""
        known = ~(targets.isnan()[:, :, None] | self.middles.isnan())
        above = (targets.nan_to_num()[:, :, None] > self.middles).to(outputs.dtype)
        each = F.binary_cross_entropy_with_logits(self._logits(outputs), above, reduction="none")
        return LossSum((torch.where(known, each, 0.0).sum(2) * self.weights).sum(), len(targets))

    def scores(self, outputs: Tensor) -> Tensor:
        """Expected standardized scores [B, O]."""
        return self.lowest + (self.gaps.nan_to_num() * self._logits(outputs).sigmoid()).sum(2)

    def _logits(self, outputs: Tensor) -> Tensor:
        return self.sharpness.exp()[:, None] * (outputs[:, :, None] - self.cuts)


Head = SquaredHead | OrdinalHead


def make_head(loss: str, grades: Sequence[np.ndarray], trait_weight: float) -> Head:
    """grades: the different standardized values of each score, increasing, float64 [G] each."""
    weights = torch.full((len(grades),), trait_weight)
    weights[0] = 1.0
    if loss == "squared":
        return SquaredHead(weights)
    most = max(2, *map(len, grades))
    filled = [np.pad(each, (0, most - len(each)), constant_values=np.nan) for each in grades]
    return OrdinalHead(weights, torch.from_numpy(np.stack(filled)).float())
