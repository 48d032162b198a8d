"""The recurrent generator and the discriminators of series."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from gans.series.config import NetworkConfig
from lab.nets.cnn import CNN
from lab.nets.rnn import ManyToMany
from lab.nets.second_order import is_penalised


class Generator(nn.Module):
    """Noise [B, T, latent], noise of the series [B, series_latent] -> standardised values [B, T, channels].

    Every step sees its own noise, that of its series, and the class (Esteban et al. 2017, section 3.2). labels: int64
    [B] of a conditional network.
    """

    def __init__(self, config: NetworkConfig, channels: int, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        width = config.latent + config.series_latent + classes
        self.body = ManyToMany(width, config.hidden, channels, cell=config.cell, layers=config.layers)

    def forward(self, noise: Tensor, series_noise: Tensor, labels: Tensor | None = None) -> Tensor:
        whole = _with_classes(series_noise, labels, self.classes)
        return self.body(torch.cat([noise, _at_each_step(whole, noise.shape[1])], dim=2))[0]


class Discriminator(nn.Module):
    """Series [B, T, channels] -> scores [B]: the mean over steps of a recurrent network, or a CNN.

    Scores whose gradient is penalised use the recurrent cells of torch: those of cuDNN have no second derivative.
    """

    def __init__(self, config: NetworkConfig, channels: int, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        width, hidden, layers = channels + classes, config.discriminator_hidden, config.discriminator_layers
        self.rnn = self.cnn = None
        if config.discriminator == "rnn":
            both = config.bidirectional
            self.rnn = ManyToMany(width, hidden, 1, cell=config.cell, layers=layers, bidirectional=both)
        else:
            strides = [1] + [2] * (layers - 1)  # each further layer doubles the receptive field
            self.cnn = CNN(width, [hidden] * layers, 1, strides=strides, norm="none", activation="leaky_relu")

    def forward(self, series: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.classes:
            marks = _with_classes(series.new_empty(len(series), 0), labels, self.classes)
            series = torch.cat([series, _at_each_step(marks, series.shape[1])], dim=2)
        if self.cnn is not None:
            return self.cnn(series.transpose(1, 2)[:, :, None])[:, 0]  # an image one pixel high
        assert self.rnn is not None
        with torch.backends.cudnn.flags(enabled=False) if is_penalised() else nullcontext():
            scores, _ = self.rnn(series)
        return scores.mean((1, 2))


def _with_classes(features: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """[B, F] and int64 [B] -> [B, F + classes]."""
    if not classes:
        return features
    assert labels is not None, "a conditional network needs labels"
    return torch.cat([features, functional.one_hot(labels, classes).to(features.dtype)], dim=1)


def _at_each_step(features: Tensor, steps: int) -> Tensor:
    """[B, F] -> [B, T, F]."""
    return features[:, None].expand(-1, steps, -1)
