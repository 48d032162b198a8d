"""The networks of a vocoder: the generator of waves and the discriminators of their spectrograms."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gans.vocoder.config import NetworkConfig
from lab.audio.mel import MelConfig, pseudo_inverse
from lab.audio.stft import inverse_stft, stft
from lab.nets.cnn import CNN

_KERNEL = 7
_QUIET = 1e-5  # magnitudes below it are raised: logarithms stay finite
_LOUDEST = math.log(1e3)  # a sine of full scale has a magnitude of a quarter of the FFT


class ConvNeXtBlock(nn.Module):
    """Features [B, width, frames] -> the same: a depthwise convolution over 7 frames, then an MLP at each frame.

    Liu et al. 2022, in one dimension as in Vocos, with a learned scale of the residual that starts at `scale`.
    """

    def __init__(self, width: int, inner: int, scale: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, inner)
        self.narrow = nn.Linear(inner, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.gelu(self.widen(self.norm(self.conv(x).transpose(1, 2))))
        return x + (self.scale * self.narrow(inner)).transpose(1, 2)


class Generator(nn.Module):
    """Log-mel [B, bands, frames] -> wave [B, frames * hop].

    Vocos (Siuzdak 2024): magnitude and phase of every frame, then one inverse transform, so that no layer runs at the
    rate of the samples. The magnitude is a correction of the least-squares inverse of the mel filters.
    """

    def __init__(self, config: NetworkConfig, mel: MelConfig) -> None:
        super().__init__()
        self.mel = mel
        width = config.width
        self.stem = nn.Conv1d(mel.bands, width, _KERNEL, padding=_KERNEL // 2)
        self.stem_norm = nn.LayerNorm(width)
        inner = max(1, round(config.expansion * width))
        self.blocks = nn.Sequential(*(ConvNeXtBlock(width, inner, 1.0 / config.blocks) for _ in range(config.blocks)))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 2 * (mel.fft // 2 + 1))

    def forward(self, spectrogram: Tensor, labels: Tensor | None = None) -> Tensor:
        """labels: none; for the form that all generators share."""
        return inverse_stft(self.spectrum(spectrogram), self.mel.fft, self.mel.hop)

    def spectrum(self, spectrogram: Tensor) -> Tensor:
        """Log-mel [B, bands, frames] -> complex [B, fft // 2 + 1, frames]."""
        centred = (spectrogram + 5.0) / 3.0  # speech is about -5 +- 3
        x = self.stem_norm(self.stem(centred).transpose(1, 2)).transpose(1, 2)
        x = self.norm(self.blocks(x).transpose(1, 2))
        correction, phase = self.out(x).transpose(1, 2).chunk(2, 1)
        inverse = pseudo_inverse(self.mel, spectrogram.device)
        first_guess = (inverse @ spectrogram.exp()).clamp_min(_QUIET).log()
        magnitude = (first_guess + correction).clamp_max(_LOUDEST).exp()
        return torch.complex(magnitude * phase.cos(), magnitude * phase.sin())


class Discriminator(nn.Module):
    """Waves [B, T] -> scores [B]: the mean of a CNN's scores of log spectrograms at several resolutions.

    Jang et al. 2021 (UnivNet, section 2.2) score magnitudes at several resolutions as well.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.resolutions = config.resolutions
        channels = config.discriminator_channels
        self.nets = nn.ModuleList(
            CNN(1, channels, 1, strides=[2] * len(channels), norm="none", activation="leaky_relu")
            for _ in config.resolutions
        )

    def forward(self, waves: Tensor, labels: Tensor | None = None) -> Tensor:
        """labels: none; for the form that all discriminators share."""
        scores = [
            net((log_magnitude(waves, fft) + 4.0)[:, None] / 3.0)
            for net, fft in zip(self.nets, self.resolutions, strict=True)
        ]
        return torch.cat(scores, 1).mean(1)


def log_magnitude(waves: Tensor, fft: int) -> Tensor:
    """Waves [B, T] -> natural logarithm of magnitudes [B, fft // 2 + 1, frames] at hops of fft / 4.

    Twice differentiable: a small constant keeps the root and the logarithm away from 0.
    """
    spectrum = stft(waves, fft, fft // 4)
    return 0.5 * (spectrum.real.square() + spectrum.imag.square() + _QUIET).log()
