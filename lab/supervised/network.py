"""The network of a supervised run: a trunk, which other runs can reuse, and output layers for its task."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lab.supervised.labelled_set import LabelledSet


class Network(nn.Module):
    """Inputs [B, ...] -> outputs [B, ...]; `features` [B, D] are the inputs of the output layers.

    stem: layers before the trunk, not shared with other runs. residual: the output is subtracted from the input
    (Zhang et al. 2017, "Beyond a Gaussian denoiser", section III.B).
    """

    def __init__(
        self,
        stem: nn.Module,
        trunk: nn.Module,
        pool: nn.Module,
        hidden: nn.Module,
        out: nn.Module,
        *,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.stem, self.trunk, self.pool, self.hidden, self.out = stem, trunk, pool, hidden, out
        self.residual = residual

    def features(self, inputs: Tensor) -> Tensor:
        return self.hidden(self.pool(self.trunk(self.stem(inputs))))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.out(self.features(inputs))
        return inputs - outputs if self.residual else outputs


class Backbone(NamedTuple):
    """The layers before the output layers, their number of features, and a scale for logits."""

    stem: nn.Module
    trunk: nn.Module
    pool: nn.Module
    hidden: nn.Module
    features: int
    logit_scale: float | None = None

    def with_output(self, out: nn.Module) -> Network:
        return Network(self.stem, self.trunk, self.pool, self.hidden, out)


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Standardize(nn.Module):
    """Columns [B, F] minus their means, divided by their standard deviations over the training set."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    def fit(self, values: Tensor) -> None:
        """Set the statistics from values [N, F]; the scale of a constant column is kept."""
        deviation = values.double().std(0, correction=0)
        self.mean.copy_(values.double().mean(0))
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class Unstandardize(nn.Module):
    """Standardized outputs [B, 1] -> targets [B] in their own unit."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def fit(self, values: Tensor) -> None:
        """Set the statistics from values [N]."""
        deviation = values.double().std(correction=0)
        self.mean.copy_(values.double().mean())
        self.deviation.copy_(deviation if deviation > 0 else torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(1) * self.deviation + self.mean


def fit_statistics(network: Network, train: LabelledSet) -> None:
    """Set the means and standard deviations of a table's columns and targets."""
    if train.has_images:
        return
    for module in network.modules():
        if isinstance(module, Standardize):
            module.fit(torch.from_numpy(train.inputs))
        elif isinstance(module, Unstandardize):
            module.fit(torch.from_numpy(train.targets))
