"""The networks of supervised runs: the configuration section of each builds its layers."""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Discriminator, Field, PositiveFloat, Tag, model_validator
from torch import Tensor, nn

from lab.config.limits import Depth, DepthOrZero, RecurrentDepth, Width, WidthOrZero
from lab.config.sections import Config, name_of
from lab.errors import UserError
from lab.nets.airbench import Airbench
from lab.nets.alexnet import AlexNet, scaled_width
from lab.nets.cnn import CNN, ResidualTower, ResNet
from lab.nets.flow import Flow
from lab.nets.layers import Linear
from lab.nets.mlp import MLP, LinearBlock
from lab.nets.whitening import Whitening
from lab.supervised.network import Backbone, Network
from lab.supervised.sound.masking import Spectrum, SpectrumReader

Activation = Literal["relu", "leaky_relu", "silu", "gelu", "tanh"]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=32)]
_MOST_BLOCKS = 256
_WHITENED = 5000  # images from which a whitening layer is computed
_POOLED = 4  # resolution before the CNN's hidden layer: more than 1 keeps the positions of strokes


class BackboneConfig(Config):
    """Configuration of a network without its output layers."""

    name: str
    reads_tables: ClassVar[bool] = False

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> Backbone:
        """New layers for inputs [C, R, R] or [F]. Raises UserError if images are too small."""

    def fit(self, network: Network, images: Callable[[int], Tensor]) -> None:
        """Set the weights of a new network that depend on the data, if it has any.

        images: called with a number, returns about so many network inputs of the training set.
        """

    def set_trainable(self, network: Network, progress: float) -> None:
        """Freeze what is trained in a part of the learning-rate schedule only; `progress` is 0 at its start, 1 at its
        end. The result depends on nothing else.
        """


class CNNConfig(BackboneConfig):
    """Plain CNN: one 3x3 block per entry of `channels`, each with stride 2, then a hidden layer."""

    name: Literal["cnn"] = Field(default="cnn", description="Type of network.")
    channels: Widths = Field(
        default=(16, 32, 64), description="Channels of each block; every block halves the resolution."
    )
    features: Width = Field(default=64, description="Units of the hidden layer, the features of the network.")
    norm: Literal["batch", "none"] = Field(default="batch", description="Normalization after every layer.")
    activation: Activation = Field(default="relu", description="Activation function.")

    def build(self, shape: tuple[int, ...]) -> Backbone:
        _check_size(self.name, shape[1], 2 ** (len(self.channels) - 1))
        strides = [2] * len(self.channels)
        trunk = CNN(shape[0], self.channels, None, strides=strides, norm=self.norm, activation=self.activation)
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(_POOLED), nn.Flatten())
        pixels = self.channels[-1] * _POOLED**2
        hidden = LinearBlock(pixels, self.features, norm=self.norm, activation=self.activation)
        return Backbone(nn.Identity(), trunk, pool, hidden, self.features)


class ResNetConfig(BackboneConfig):
    """Residual network: every stage is a 3x3 block and residual blocks; stages after the first halve the resolution."""

    name: Literal["resnet"] = Field(default="resnet", description="Type of network.")
    channels: Widths = Field(default=(32, 64, 128, 256), description="Channels of each stage.")
    blocks: tuple[DepthOrZero, ...] = Field(default=(0, 1, 0, 1), description="Residual blocks of each stage.")
    logit_scale: PositiveFloat = Field(
        default=0.125, description="Factor of the logits; a small one keeps high learning rates stable (Page 2018)."
    )

    @model_validator(mode="after")
    def _one_entry_per_stage(self) -> Self:
        if len(self.blocks) != len(self.channels):
            raise ValueError(
                f"{len(self.channels)} channels but {len(self.blocks)} blocks; give both one entry per stage"
            )
        if sum(self.blocks) > _MOST_BLOCKS:
            raise ValueError(f"blocks: {sum(self.blocks)} residual blocks; give at most {_MOST_BLOCKS} in all stages")
        return self

    def build(self, shape: tuple[int, ...]) -> Backbone:
        _check_size(self.name, shape[1], 2 ** (len(self.channels) - 1))
        pool = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        trunk = ResNet(shape[0], self.channels, self.blocks)
        return Backbone(nn.Identity(), trunk, pool, nn.Identity(), self.channels[-1], self.logit_scale)


class TowerConfig(BackboneConfig):
    """AlphaZero's residual tower; it keeps the resolution of the image."""

    name: Literal["tower"] = Field(default="tower", description="Type of network.")
    channels: Width = Field(default=32, description="Channels of every layer.")
    blocks: DepthOrZero = Field(default=3, description="Residual blocks.")
    norm: Literal["batch", "group", "layer", "none"] = Field(
        default="batch", description="Normalization after every layer."
    )
    squeeze_excitation: WidthOrZero = Field(
        default=0, description="Units of the squeeze-and-excitation bottleneck; 0 for none."
    )

    def build(self, shape: tuple[int, ...]) -> Backbone:
        trunk = ResidualTower(
            shape[0], self.channels, self.blocks, norm=self.norm, squeeze_excitation=self.squeeze_excitation
        )
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return Backbone(nn.Identity(), trunk, pool, nn.Identity(), self.channels)


class AlexNetConfig(BackboneConfig):
    """AlexNet (Krizhevsky et al. 2012) for images of 16 pixels or more."""

    name: Literal["alexnet"] = Field(default="alexnet", description="Type of network.")
    width: float = Field(
        default=0.25, gt=0.0, le=64.0, description="Factor on the published number of channels and units."
    )
    dropout: float = Field(default=0.5, ge=0.0, le=1.0, description="Dropout probability in the hidden layers.")

    def build(self, shape: tuple[int, ...]) -> Backbone:
        trunk, width = AlexNet(shape[0], shape[1], self.width), scaled_width(self.width, 4096)
        hidden = MLP(trunk.out_channels * 9, [width, width], None, dropout=self.dropout)
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten())
        return Backbone(nn.Identity(), trunk, pool, hidden, width)


class AirbenchConfig(BackboneConfig):
    """Airbench (Jordan 2024): a fixed whitening layer and stages of 3x3 convolutions, for images of 32 pixels."""

    name: Literal["airbench"] = Field(default="airbench", description="Type of network.")
    channels: Widths = Field(
        default=(64, 256, 256), description="Channels of each stage; every stage halves the resolution."
    )
    convolutions: Literal[2, 3] = Field(
        default=2, description="Convolutions of each stage; of three the last two have a skip connection."
    )
    whitening_bias_fraction: float = Field(
        default=0.375,
        ge=0.0,
        le=1.0,
        description="Fraction of the learning-rate schedule in which the bias of the whitening layer is trained.",
    )
    norm_momentum: float = Field(
        default=0.4, gt=0.0, le=1.0, description="Weight of a batch in the running statistics of batch norm."
    )

    def build(self, shape: tuple[int, ...]) -> Backbone:
        _check_size(self.name, shape[1], 2 ** len(self.channels) + 1)
        trunk = Airbench(shape[0], self.channels, convolutions=self.convolutions, norm_momentum=self.norm_momentum)
        pool = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        features = self.channels[-1]
        return Backbone(nn.Identity(), trunk, pool, nn.Identity(), features, 1.0 / features, 1.0, False)

    def fit(self, network: Network, images: Callable[[int], Tensor]) -> None:
        _whitening(network).fit(images(_WHITENED))

    def set_trainable(self, network: Network, progress: float) -> None:
        bias = _whitening(network).bias
        assert bias is not None
        bias.requires_grad_(progress < self.whitening_bias_fraction)


class MLPConfig(BackboneConfig):
    """Multilayer perceptron over the columns of a table or the pixels of an image."""

    reads_tables: ClassVar[bool] = True

    name: Literal["mlp"] = Field(default="mlp", description="Type of network.")
    hidden: Widths = Field(default=(128,), description="Units of each hidden layer.")
    activation: Activation = Field(default="relu", description="Activation function.")
    norm: Literal["batch", "layer", "none"] = Field(
        default="none", description="Normalization after every hidden layer."
    )
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0, description="Dropout probability after every hidden layer.")
    init_scale: PositiveFloat = Field(
        default=1.0,
        description="Tables: factor of the first layer's initial weights and random biases; above 1 fits functions "
        "with many turns.",
    )

    def build(self, shape: tuple[int, ...]) -> Backbone:
        inputs, is_table = int(torch.Size(shape).numel()), len(shape) == 1
        stem: nn.Module = nn.Identity() if is_table else nn.Flatten()
        trunk = MLP(inputs, self.hidden, None, activation=self.activation, norm=self.norm, dropout=self.dropout)
        if is_table:
            _scale_initialisation(
                next(layer for layer in trunk.modules() if isinstance(layer, Linear)), self.init_scale
            )
        return Backbone(stem, trunk, nn.Identity(), nn.Identity(), self.hidden[-1])


class FlowConfig(BackboneConfig):
    """Normalising flow over the columns of a table: the density of a row (Dinh et al. 2017)."""

    reads_tables: ClassVar[bool] = True

    name: Literal["flow"] = Field(default="flow", description="Type of network.")
    couplings: Depth = Field(default=6, description="Affine coupling layers.")
    hidden: Width = Field(default=64, description="Units of both hidden layers of a coupling.")

    def build(self, shape: tuple[int, ...]) -> Backbone:
        flow = Flow(int(torch.Size(shape).numel()), couplings=self.couplings, hidden=self.hidden)
        return Backbone(nn.Identity(), flow, nn.Identity(), nn.Identity(), 1, is_density=True)


class SpectrumConfig(BackboneConfig):
    """Recurrent network over the spectrum of a recording, for every moment and frequency."""

    name: Literal["spectrum"] = Field(default="spectrum", description="Type of network.")
    fft: Annotated[int, Field(ge=16, le=2**14, multiple_of=4)] = Field(default=256, description="Samples of a frame.")
    cell: Literal["lstm", "gru"] = Field(default="gru", description="Recurrent cell.")
    hidden: Width = Field(default=128, description="Units of each direction.")
    layers: RecurrentDepth = Field(default=1, description="Recurrent layers.")
    bidirectional: bool = Field(default=True, description="Read recordings in both directions.")

    def build(self, shape: tuple[int, ...]) -> Backbone:
        reader = SpectrumReader(
            self.fft // 2 + 1, self.hidden, cell=self.cell, layers=self.layers, bidirectional=self.bidirectional
        )
        return Backbone(
            Spectrum(self.fft, self.fft // 4), reader, nn.Identity(), nn.Identity(), reader.core.out_features
        )


NetworkConfig = Annotated[
    Annotated[CNNConfig, Tag("cnn")]
    | Annotated[ResNetConfig, Tag("resnet")]
    | Annotated[TowerConfig, Tag("tower")]
    | Annotated[AlexNetConfig, Tag("alexnet")]
    | Annotated[AirbenchConfig, Tag("airbench")]
    | Annotated[MLPConfig, Tag("mlp")]
    | Annotated[FlowConfig, Tag("flow")]
    | Annotated[SpectrumConfig, Tag("spectrum")],
    Discriminator(name_of),
]


@torch.no_grad()
def _scale_initialisation(layer: Linear, factor: float) -> None:
    """Scale the weights and draw biases, so that the units bend at different positions of standardized data."""
    layer.weight.mul_(factor)
    if layer.bias is not None:
        layer.bias.normal_(0.0, factor * math.sqrt(2.0))


def _whitening(network: Network) -> Whitening:
    return next(module for module in network.trunk.modules() if isinstance(module, Whitening))


def _check_size(name: str, side: int, smallest: int) -> None:
    if side < smallest:
        raise UserError(
            f"the {name} needs images of at least {smallest} pixels, not {side}: use fewer network.channels"
        )
