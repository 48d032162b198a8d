"""The network of a supervised run: a trunk, which other runs can reuse, and output layers for its task."""

from typing import NamedTuple

from torch import Tensor, nn


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
    """The layers before the output layers, their number of features, and the form of a classifier's output layer.

    logit_scale: factor of the logits. logit_std: standard deviation of the output layer's weights at the start, by
    default 1 / sqrt(features). logit_bias: whether the output layer has a bias. is_density: the trunk returns
    log-densities [B] of its inputs and takes no output layer.
    """

    stem: nn.Module
    trunk: nn.Module
    pool: nn.Module
    hidden: nn.Module
    features: int
    logit_scale: float | None = None
    logit_std: float | None = None
    logit_bias: bool = True
    is_density: bool = False

    def with_output(self, out: nn.Module) -> Network:
        return Network(self.stem, self.trunk, self.pool, self.hidden, out)


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor
