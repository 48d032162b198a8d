"""A convolutional classifier whose last hidden layer serves as features."""

from torch import Tensor, nn

from lab.nets.cnn import CNN
from lab.nets.layers import Linear
from lab.nets.mlp import LinearBlock
from lab.supervised.config import NetworkConfig


class Classifier(nn.Module):
    """[B, C, H, W] -> logits [B, classes]; `features` -> [B, features]."""

    def __init__(self, config: NetworkConfig, channels: int, classes: int) -> None:
        super().__init__()
        self.trunk = CNN(channels, config.channels, None, strides=[2] * len(config.channels))
        self.pool = nn.AdaptiveAvgPool2d(4)  # what is where matters to a digit
        self.hidden = LinearBlock(config.channels[-1] * 16, config.features, norm="batch")
        self.out = Linear(config.features, classes)

    def features(self, images: Tensor) -> Tensor:
        return self.hidden(self.pool(self.trunk(images)).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.features(images))
