"""Convolutional networks: a plain stack, the residual tower of AlphaGo Zero, residual stages, a decoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from lab.errors import UserError
from lab.nets.global_pooling import pool
from lab.nets.init import HE, Init
from lab.nets.layers import Conv2d, Linear, activation_layer, largest_divisor


def channel_norm(kind: str | Callable[[int], nn.Module], channels: int) -> nn.Module:
    """Normalisation of [B, channels, H, W]: "batch", "group" (at most 32 groups), "layer" (one group) or a function of
    the channels.
    """
    if not isinstance(kind, str):
        return kind(channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(largest_divisor(channels, at_most=32), channels)
    if kind == "layer":
        return nn.GroupNorm(1, channels)
    raise UserError(f"norm {kind!r} is unknown for a CNN; use batch, group, layer or none")


POOLED_SHARE = 3  # one inner channel in so many is pooled, as in KataGo's networks of 96 channels and more


class ConvBlock(nn.Sequential):
    """Convolution (no bias if a norm follows), max pooling over `pool` x `pool` pixels, norm, activation.

    [B, in_channels, H, W] -> [B, out_channels, H', W']; padding is half the kernel.
    """

    conv: Conv2d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        pool: int = 1,
        norm: str | Callable[[int], nn.Module] = "batch",
        activation: str = "relu",
        init: Init = HE,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv"] = Conv2d(in_channels, out_channels, kernel_size, stride=stride, bias=norm == "none", init=init)
        if pool > 1:
            layers["pool"] = nn.MaxPool2d(pool)
        if norm != "none":
            layers["norm"] = channel_norm(norm, out_channels)
        if activation != "none":
            layers["activation"] = activation_layer(activation)
        super().__init__(layers)


class CNN(nn.Sequential):
    """Plain convolutional network: one block per entry of `channels`, mean over H and W, linear output.

    [B, in_channels, H, W] -> [B, out_features]; `out_features=None` returns the last block's feature
    map. `strides` has one entry per block, by default 1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        out_features: int | None,
        *,
        kernel_size: int = 3,
        strides: Sequence[int] | None = None,
        norm: str = "batch",
        activation: str = "relu",
        init: Init = HE,
    ) -> None:
        strides = [1] * len(channels) if strides is None else strides
        if len(strides) != len(channels):
            raise UserError(f"CNN: {len(channels)} channels but {len(strides)} strides; give one per block")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        width = in_channels
        for index, (features, stride) in enumerate(zip(channels, strides, strict=True)):
            layers[f"block{index}"] = ConvBlock(
                width, features, kernel_size, stride=stride, norm=norm, activation=activation, init=init
            )
            width = features
        if out_features is not None:
            layers["pool"] = nn.AdaptiveAvgPool2d(1)
            layers["flatten"] = nn.Flatten()
            layers["out"] = Linear(width, out_features, init=init.with_gain(1.0))
        super().__init__(layers)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from all channel means (Hu et al. 2018, section 3)."""

    def __init__(self, channels: int, squeezed: int, *, init: Init = HE) -> None:
        super().__init__()
        self.squeeze = Linear(channels, squeezed, init=init)
        self.excite = Linear(squeezed, channels, init=init.with_gain(1.0))

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()
        return x * gate[:, :, None, None]


class ResidualBlock(nn.Module):
    """[B, channels, H, W] -> the same: two 3x3 convolution blocks, skip connection, ReLU.

    `squeeze_excitation` is the width of the gate's bottleneck, 0 for none.
    """

    def __init__(self, channels: int, *, norm: str = "batch", squeeze_excitation: int = 0, init: Init = HE) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, norm=norm, init=init)
        self.second = ConvBlock(channels, channels, norm=norm, activation="none", init=init)
        self.gate = SqueezeExcitation(channels, squeeze_excitation, init=init) if squeeze_excitation else None

    def forward(self, x: Tensor) -> Tensor:
        residual = self.second(self.first(x))
        if self.gate is not None:
            residual = self.gate(residual)
        return (x + residual).relu()


class GlobalPoolingBlock(nn.Module):
    """[B, channels, H, W] -> the same: a residual block, a third of whose inner channels is pooled over the map.

    The pooled channels leave the convolutional path; a linear layer of their mean, scaled mean and maximum adds a bias
    to each of the others. So every cell sees the whole map, however few blocks the tower has.
    """

    def __init__(self, channels: int, *, norm: str = "batch", init: Init = HE) -> None:
        super().__init__()
        pooled = max(1, channels // POOLED_SHARE)
        self.widths = [channels - pooled, pooled]
        self.first = ConvBlock(channels, channels, norm=norm, activation="none", init=init)
        self.bias = Linear(3 * pooled, channels - pooled, init=init.with_gain(1.0))
        self.second = ConvBlock(channels - pooled, channels, norm=norm, activation="none", init=init)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.second(self.biased(self.first(x)))).relu()

    def biased(self, features: Tensor) -> Tensor:
        """The channels that are not pooled of features [B, channels, H, W], with their biases, after the ReLU."""
        cells, pooled = features.split(self.widths, 1)
        board = pool(pooled.relu().flatten(2), *features.shape[2:])
        return (cells + self.bias(board)[:, :, None, None]).relu()


class ResidualTower(nn.Module):
    """[B, in_channels, H, W] -> [B, channels, H, W]: a convolution block, then `blocks` residual blocks.

    Silver et al. 2017 (AlphaGo Zero), Methods, "Neural network architecture": 256 channels, 19 or 39 blocks.
    global_pooling: how many of the blocks pool (Wu 2019, section 4.1); these have no squeeze-and-excitation.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        blocks: int,
        *,
        norm: str = "batch",
        squeeze_excitation: int = 0,
        global_pooling: int = 0,
        init: Init = HE,
    ) -> None:
        super().__init__()
        pooling = pooling_blocks(blocks, global_pooling)
        self.stem = ConvBlock(in_channels, channels, norm=norm, init=init)
        self.blocks = nn.Sequential(
            *(
                GlobalPoolingBlock(channels, norm=norm, init=init)
                if number in pooling
                else ResidualBlock(channels, norm=norm, squeeze_excitation=squeeze_excitation, init=init)
                for number in range(blocks)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.stem(x))


def pooling_blocks(blocks: int, pooling: int) -> set[int]:
    """Numbers of the blocks that pool: `pooling` of `blocks`, spread evenly; of 6 and 2 blocks 2 and 4, as KataGo's."""
    return {(number + 1) * blocks // (pooling + 1) for number in range(pooling)}


class ResNet(nn.Sequential):
    """[B, in_channels, R, R] -> [B, channels[-1], R', R'], R' = R / 2**(stages - 1).

    A stage is a 3x3 block, pooled by 2 in all but the first, and `blocks[stage]` residual blocks. With channels (64,
    128, 256, 512) and blocks (0, 1, 0, 1) it is the trunk of the nine-layer network of Page 2018 ("How to train
    your ResNet") for fast training on CIFAR-10.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        blocks: Sequence[int],
        *,
        norm: str = "batch",
        init: Init = HE,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        width = in_channels
        for stage, (features, count) in enumerate(zip(channels, blocks, strict=True)):
            layers[f"block{stage}"] = ConvBlock(width, features, pool=2 if stage else 1, norm=norm, init=init)
            for index in range(count):
                layers[f"residual{stage}_{index}"] = ResidualBlock(features, norm=norm, init=init)
            width = features
        super().__init__(layers)


class ImageDecoder(nn.Sequential):
    """Features [B, in_features] -> an image [B, out_channels, R, R], R = 4 * 2**(len(channels) - 1).

    A linear layer to 4x4 maps, then for every further entry of `channels` upsampling by 2 and a 3x3 block.
    """

    def __init__(
        self, in_features: int, channels: Sequence[int], out_channels: int, *, norm: str = "batch", init: Init = HE
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["dense"] = Linear(in_features, channels[0] * 16, init=init)
        layers["maps"] = nn.Unflatten(1, (channels[0], 4, 4))
        for index, (width, features) in enumerate(pairwise(channels)):
            layers[f"enlarge{index}"] = nn.Upsample(scale_factor=2.0, mode="nearest")
            layers[f"block{index}"] = ConvBlock(width, features, norm=norm, init=init)
        layers["out"] = Conv2d(channels[-1], out_channels, 3, init=init.with_gain(1.0))
        super().__init__(layers)
