"""The convolutional networks of airbench for images of CIFAR-10's size (Jordan 2024)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from lab.nets.cnn import ConvBlock
from lab.nets.init import Init
from lab.nets.layers import activation_layer
from lab.nets.whitening import Whitening

_INIT = Init(gain=3**-0.5, dirac=True)  # torch's default deviation for the filters that are no identities


class Airbench(nn.Sequential):
    """[B, in_channels, R, R] -> [B, channels[-1], R', R'] by a whitening layer and stages that halve the resolution.

    K. Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", section 2 and appendix A: two convolutions per
    stage with channels (64, 256, 256); three with a skip connection and channels (128, 512, 512) for 96%.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        *,
        convolutions: int = 2,
        activation: str = "gelu",
        norm_momentum: float = 0.4,
    ) -> None:
        """norm_momentum: weight of a batch in the running statistics of batch norm."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["whitening"] = whitening = Whitening(in_channels)
        layers["activation"] = activation_layer(activation)
        width = whitening.out_channels
        for index, features in enumerate(channels):
            layers[f"stage{index}"] = Stage(width, features, convolutions, activation, norm_momentum)
            width = features
        super().__init__(layers)


class Stage(nn.Module):
    """[B, in_channels, R, R] -> [B, out_channels, R // 2, R // 2]: two 3x3 convolutions, or three.

    With three the last two are a residual block.
    """

    def __init__(
        self, in_channels: int, out_channels: int, convolutions: int, activation: str, norm_momentum: float
    ) -> None:
        super().__init__()

        def norm(channels: int) -> nn.Module:
            return unscaled_norm(channels, norm_momentum)

        self.first = ConvBlock(in_channels, out_channels, pool=2, norm=norm, activation=activation, init=_INIT)
        self.second = ConvBlock(out_channels, out_channels, norm=norm, activation=activation, init=_INIT)
        self.third: ConvBlock | None = None
        if convolutions == 3:
            self.third = ConvBlock(out_channels, out_channels, norm=norm, activation="none", init=_INIT)
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.third is None:
            return self.second(x)
        return self.activation(x + self.third(self.second(x)))


def unscaled_norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    """Batch norm of [B, channels, H, W] with a trained bias and without a trained scale."""
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=momentum)
    norm.weight.requires_grad_(False)
    return norm
