"""Waves from magnitudes: the fast Griffin-Lim algorithm."""

import math

import torch
from torch import Tensor

from lab.audio.mel import MelConfig, to_magnitude
from lab.audio.stft import inverse_stft, stft

MOMENTUM = 0.99
"""Acceleration that Perraudin et al. recommend."""


def griffin_lim(
    magnitude: Tensor, *, fft: int, hop: int, iterations: int = 32, seed: int = 0, phase: Tensor | None = None
) -> Tensor:
    """Magnitudes [N, fft // 2 + 1, frames] -> a wave [N, frames * hop] whose spectrum has nearly these magnitudes.

    Fast Griffin-Lim (Perraudin, Balazs, Sondergaard 2013, algorithm 2). phase: complex start [N, fft // 2 + 1, frames]
    of absolute value 1; by default random from `seed`, the same for every row.
    """
    if phase is None:
        phase = random_phase(magnitude.shape[1:], seed).to(magnitude.device).expand(magnitude.shape)
    previous = projected = inverse = magnitude * phase
    for step in range(iterations):
        inverse = stft(inverse_stft(projected, fft, hop), fft, hop)
        moved = inverse if step == 0 else inverse + MOMENTUM * (inverse - previous)
        previous = inverse
        projected = magnitude * unit(moved)
    return inverse_stft(projected, fft, hop)


def mel_to_wave(spectrogram: Tensor, config: MelConfig, *, iterations: int = 32, seed: int = 0) -> Tensor:
    """Log-mel [N, bands, frames] -> wave [N, frames * hop] in about [-1, 1]."""
    magnitude = to_magnitude(spectrogram, config)
    return griffin_lim(magnitude, fft=config.fft, hop=config.hop, iterations=iterations, seed=seed)


def random_phase(shape: torch.Size | tuple[int, ...], seed: int) -> Tensor:
    """Complex numbers of absolute value 1 on the CPU, uniform in angle."""
    angle = 2.0 * math.pi * torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return torch.polar(torch.ones_like(angle), angle)


def unit(spectrum: Tensor) -> Tensor:
    """Complex numbers divided by their absolute value, 0 for 0."""
    return spectrum / spectrum.abs().clamp_min(1e-12)
