"""Initialisation and runtime scale of weights: one policy, which every layer takes as a parameter."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from lab.errors import UserError


@dataclasses.dataclass(frozen=True)
class Init:
    """Initialisation and scale policy of a layer with `fan_in` inputs per output.

    The effective weight has standard deviation `gain / sqrt(fan_in)` at the start, whatever the policy.
    With `runtime` false that is the stored weight (He et al. 2015, section 2.2, gain sqrt(2) for ReLU). With
    `runtime` true the stored weight is drawn from N(0, 1) and multiplied by the constant on every forward
    pass, so that adaptive optimisers move all layers at the same relative speed: the equalized learning rate
    of Karras et al. 2018, section 4.1. `lr_multiplier` (runtime only) slows a layer down further by storing
    its weight and bias divided by it (Karras et al. 2019, appendix C: 0.01 in the mapping network). With `orthogonal`
    true the weight is `gain` times a matrix with orthonormal rows or columns (Saxe et al. 2014). With `dirac` true the
    first filters of a convolution are identities, one per input channel (Zagoruyko and Komodakis 2017, "DiracNets").
    """

    gain: float = math.sqrt(2.0)
    runtime: bool = False
    lr_multiplier: float = 1.0
    orthogonal: bool = False
    dirac: bool = False

    def __post_init__(self) -> None:
        if self.lr_multiplier != 1.0 and not self.runtime:
            raise UserError("Init: lr_multiplier works through the runtime scale; set runtime=True")
        if self.orthogonal and self.runtime:
            raise UserError("Init: an orthogonal weight has no runtime scale; leave runtime out")
        if self.dirac and (self.runtime or self.orthogonal):
            raise UserError("Init: dirac filters have no runtime scale and are not orthogonal; leave both out")

    def with_gain(self, gain: float) -> Init:
        return dataclasses.replace(self, gain=gain)

    def std(self, fan_in: int) -> float:
        """Standard deviation of the stored weight."""
        return 1.0 / self.lr_multiplier if self.runtime else self.gain / math.sqrt(fan_in)

    def weight_scale(self, fan_in: int) -> float:
        """Factor of the stored weight in every forward pass."""
        return self.gain / math.sqrt(fan_in) * self.lr_multiplier if self.runtime else 1.0

    @torch.no_grad()
    def reset(self, weight: Tensor, bias: Tensor | None) -> None:
        """Draw `weight` [out, in, ...] and clear `bias` in place."""
        if self.orthogonal:
            nn.init.orthogonal_(weight, self.gain)
        else:
            weight.normal_(0.0, self.std(weight[0].numel()))
        if self.dirac:
            nn.init.dirac_(weight[: weight.shape[1]])
        if bias is not None:
            bias.zero_()


HE = Init()
EQUALIZED = Init(runtime=True)
ORTHOGONAL = Init(orthogonal=True)
POLICIES = {"he": HE, "equalized": EQUALIZED}
