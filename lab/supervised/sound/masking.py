"""A recurrent network that filters the spectrum of a recording by a mask."""

import torch
from torch import Tensor, nn

from lab.audio.stft import inverse_stft, stft
from lab.nets.rnn import RNN
from lab.supervised.network import Network


class Spectrum(nn.Module):
    """Waves [B, T] -> complex spectrum [B, fft // 2 + 1, frames]."""

    def __init__(self, fft: int, hop: int) -> None:
        super().__init__()
        self.fft, self.hop = fft, hop

    def forward(self, waves: Tensor) -> Tensor:
        return stft(waves, self.fft, self.hop)


class SpectrumReader(nn.Module):
    """Complex spectrum [B, bins, frames] -> features [B, frames, features] of every frame, by an RNN over the frames.

    It reads the logarithms of the magnitudes, relative to their mean over the recording: loudness has no effect.
    """

    def __init__(self, bins: int, hidden: int, *, cell: str, layers: int, bidirectional: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(bins)
        self.core = RNN(bins, hidden, cell=cell, layers=layers, bidirectional=bidirectional)

    def forward(self, spectrum: Tensor) -> Tensor:
        power = spectrum.real.square() + spectrum.imag.square()
        logs = (power + 1e-8 * power.mean((1, 2), keepdim=True) + 1e-20).log()
        levels = logs - logs.mean((1, 2), keepdim=True)
        return self.core(self.norm(0.5 * levels.transpose(1, 2)))[0]


class Masking(Network):
    """Waves [B, T] -> waves [B, T]: every bin of the spectrum is multiplied by a number in (0, 1); the phase is kept.

    The stem is a `Spectrum`, the trunk a `SpectrumReader`, and the output layer gives the logits of the mask.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        assert isinstance(self.stem, Spectrum)
        spectrum = self.stem(inputs)
        mask = torch.sigmoid(self.out(self.trunk(spectrum)).float()).transpose(1, 2)
        return inverse_stft(spectrum * mask, self.stem.fft, self.stem.hop, inputs.shape[1])
