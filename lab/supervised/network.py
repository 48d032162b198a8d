"""The networks of supervised experiments: a trunk, which another run can start from, and what makes answers of it."""

import math

import torch
from torch import Tensor, nn

from lab.errors import UserError
from lab.nets.alexnet import AlexNet, scaled_width
from lab.nets.cnn import CNN, ImageDecoder, ResidualTower, ResNet
from lab.nets.init import HE
from lab.nets.layers import Conv2d, Linear
from lab.nets.mlp import MLP, LinearBlock
from lab.supervised.config import (
    AlexNetConfig,
    CNNConfig,
    NetworkConfig,
    ReconstructionConfig,
    ResNetConfig,
    SupervisedConfig,
    TowerConfig,
)
from lab.supervised.data import Examples

_POOLED = 4  # pixels a side that a CNN's hidden layer sees: what is where matters to a digit
_DECODER = 128  # most channels of the decoder
_LAST = HE.with_gain(1.0)  # of layers that no activation follows


class Network(nn.Module):
    """Inputs [B, ...] -> answers [B, ...]; `features` [B, D] is what the last layers make them from.

    stem: what comes before the trunk and is not shared with other runs. residual: answers are what is to be taken off
    the input (Zhang et al. 2017, "Beyond a Gaussian denoiser", section III.B).
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
        answers = self.out(self.features(inputs))
        return inputs - answers if self.residual else answers


class Scaled(nn.Module):
    """The same, multiplied by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Standardised(nn.Module):
    """Columns [B, F] less their means, over their deviations, both from the examples learned from."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    def measure(self, values: Tensor) -> None:
        """Of [N, F]; a column of one value alone keeps its scale."""
        deviation = values.double().std(0, correction=0)
        self.mean.copy_(values.double().mean(0))
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class Rescaled(nn.Module):
    """The way back: [B, 1] of mean 0 and deviation 1 to numbers [B] as they are in the table."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def measure(self, values: Tensor) -> None:
        """Of [N]."""
        deviation = values.double().std(correction=0)
        self.mean.copy_(values.double().mean())
        self.deviation.copy_(deviation if deviation > 0 else torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(1) * self.deviation + self.mean


def build_network(config: SupervisedConfig, shape: tuple[int, ...], classes: int) -> Network:
    """A network for inputs of `shape`, [C, R, R] or [F]. Raises UserError where the picture's size does not fit."""
    stem, trunk, pool, hidden, features = _parts(config.network, shape)
    task = config.task
    if task.name == "denoising":
        noise = Conv2d(features, shape[0], 3, init=_LAST)
        return Network(stem, trunk, nn.Identity(), nn.Identity(), noise, residual=True)
    if isinstance(task, ReconstructionConfig):
        return Network(stem, trunk, pool, hidden, _decoder(task, features, shape))
    if task.name == "regression":
        return Network(stem, trunk, pool, hidden, nn.Sequential(Linear(features, 1, init=_LAST), Rescaled()))
    out: nn.Module = Linear(features, classes, init=_LAST)
    if isinstance(config.network, ResNetConfig):
        out = nn.Sequential(out, Scaled(config.network.logit_scale))
    return Network(stem, trunk, pool, hidden, out)


def measure(network: Network, examples: Examples) -> None:
    """Give the network the means and deviations of a table."""
    if examples.are_pictures:
        return
    for module in network.modules():
        if isinstance(module, Standardised):
            module.measure(torch.from_numpy(examples.inputs))
        elif isinstance(module, Rescaled):
            module.measure(torch.from_numpy(examples.targets))


Parts = tuple[nn.Module, nn.Module, nn.Module, nn.Module, int]


def _parts(config: NetworkConfig, shape: tuple[int, ...]) -> Parts:
    """Stem, trunk, pool, hidden layer, and the features that the last of them gives."""
    same = nn.Identity()
    if config.name == "mlp":
        inputs = int(torch.Size(shape).numel())
        stem: nn.Module = Standardised(inputs) if len(shape) == 1 else nn.Flatten()
        trunk = MLP(inputs, config.hidden, None, activation=config.activation, norm=config.norm, dropout=config.dropout)
        if len(shape) == 1:
            _spread(next(layer for layer in trunk.modules() if isinstance(layer, Linear)), config.spread)
        return stem, trunk, same, same, config.hidden[-1]
    channels, side, _ = shape
    mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if isinstance(config, CNNConfig):
        _check_size(config.name, side, 2 ** (len(config.channels) - 1))
        norm, activation, strides = config.norm, config.activation, [2] * len(config.channels)
        cnn = CNN(channels, config.channels, None, strides=strides, norm=norm, activation=activation)
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(_POOLED), nn.Flatten())
        pixels = config.channels[-1] * _POOLED**2
        hidden = LinearBlock(pixels, config.features, norm=norm, activation=activation)
        return same, cnn, pool, hidden, config.features
    if isinstance(config, ResNetConfig):
        _check_size(config.name, side, 2 ** (len(config.channels) - 1))
        most = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        return same, ResNet(channels, config.channels, config.blocks), most, same, config.channels[-1]
    if isinstance(config, TowerConfig):
        tower = ResidualTower(
            channels, config.channels, config.blocks, norm=config.norm, squeeze_excitation=config.squeeze_excitation
        )
        return same, tower, mean, same, config.channels
    assert isinstance(config, AlexNetConfig)
    alexnet, width = AlexNet(channels, side, config.width), scaled_width(config.width, 4096)
    hidden_layers = MLP(alexnet.out_channels * 9, [width, width], None, dropout=config.dropout)
    return same, alexnet, nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten()), hidden_layers, width


@torch.no_grad()
def _spread(layer: Linear, factor: float) -> None:
    """Units that turn at different places of the data, whose columns have deviation 1."""
    layer.weight.mul_(factor)
    if layer.bias is not None:
        layer.bias.normal_(0.0, factor * math.sqrt(2.0))


def _check_size(name: str, side: int, smallest: int) -> None:
    if side < smallest:
        raise UserError(
            f"the {name} halves pictures down from {smallest} pixels at least and these have {side}: "
            "take fewer network.channels"
        )


def _decoder(task: ReconstructionConfig, features: int, shape: tuple[int, ...]) -> nn.Module:
    """Through a bottleneck of `code` numbers back to a picture."""
    channels, side, _ = shape
    steps = (side // 4).bit_length()
    widths = [max(16, _DECODER >> step) for step in range(steps)]
    return nn.Sequential(Linear(features, task.code, init=_LAST), ImageDecoder(task.code, widths, channels))
