"""The convolutional layers of AlexNet, for images of at least 16 pixels."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from lab.errors import UserError
from lab.nets.cnn import ConvBlock
from lab.nets.init import HE, Init

SMALLEST = 16
_CHANNELS = (96, 256, 384, 384, 256)
_POOLED = (0, 1, 4)  # layers that are followed by max pooling: 3x3, stride 2


def scaled_width(width: float, features: int) -> int:
    return max(1, round(width * features))


class AlexNet(nn.Sequential):
    """[B, in_channels, R, R] -> [B, 256 * width, R', R'] (Krizhevsky et al. 2012, section 3.5, figure 2).

    Five convolutions, three of them with overlapping max pooling. Batch normalisation replaces response normalisation.
    For images below 128 pixels the first layer has 5x5 kernels of stride 1 instead of 11x11 of stride 4. Raises
    UserError below 16 pixels.
    """

    def __init__(self, in_channels: int, resolution: int, width: float = 1.0, *, init: Init = HE) -> None:
        if resolution < SMALLEST:
            raise UserError(f"AlexNet needs images of at least {SMALLEST} pixels, not {resolution}")
        large = resolution >= 128
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = in_channels
        for index, features in enumerate(_CHANNELS):
            outputs = scaled_width(width, features)
            kernel, stride = (11, 4) if large and index == 0 else (5 if index < 2 else 3, 1)
            layers[f"block{index}"] = ConvBlock(inputs, outputs, kernel, stride=stride, init=init)
            if index in _POOLED:
                layers[f"pool{index}"] = nn.MaxPool2d(3, 2)
            inputs = outputs
        super().__init__(layers)
        self.out_channels = inputs
