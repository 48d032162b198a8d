"""Noise of any colour, added to clips at a known signal-to-noise ratio, and the ratio that remains."""

import math

import torch
from torch import Tensor

from lab import rng


def coloured_noise(seed: int, numbers: Tensor, length: int) -> Tensor:
    """Noise float32 [N, length] of mean square 1; noise i is a function of (seed, number i).

    Its power falls with the frequency to a power from 0 (white) to 2 (brown), and its loudness swells at 0.5 to 4 times
    in 8,000 samples, by a depth from none to all.
    """
    columns = torch.arange(length, device=numbers.device)
    white = rng.normal(seed, int(rng.Stream.AUGMENT), numbers[:, None], columns, 70)
    tilt, speed, depth, start = rng.uniform(
        seed, int(rng.Stream.AUGMENT), numbers[:, None], torch.arange(4, device=numbers.device), 71
    ).unbind(1)
    spectrum = torch.fft.rfft(white)
    frequencies = torch.arange(spectrum.shape[1], device=numbers.device).clamp_min(length / 160.0)
    spectrum = spectrum * frequencies[None] ** -tilt[:, None]  # of the amplitude: of the power twice that
    turns = (0.5 + 3.5 * speed)[:, None] * columns / 8_000.0 + start[:, None]
    loudness = 1.0 + depth[:, None] * torch.sin(2.0 * math.pi * turns)
    noise = torch.fft.irfft(spectrum, length) * loudness
    return noise / noise.square().mean(1, keepdim=True).sqrt().clamp_min(1e-12)


def add_noise(clips: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Clips [N, T] with noise [N, T] at signal-to-noise ratios [N] in dB, of the mean squares of both over the clip."""
    level = (clips.square().mean(1) / noise.square().mean(1).clamp_min(1e-12) * 10.0 ** (-snr_db / 10.0)).sqrt()
    return clips + level[:, None] * noise


def si_sdr(found: Tensor, clean: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, [N], of found and clean waves [N, T] (Le Roux et al. 2019).

    Means are removed first. Differentiable; bounded to about 100 dB.
    """
    found, clean = (wave - wave.mean(1, keepdim=True) for wave in (found, clean))
    energy = clean.square().sum(1, keepdim=True).clamp_min(1e-10)
    target = (found * clean).sum(1, keepdim=True) / energy * clean
    error = (found - target).square().sum(1)
    signal = target.square().sum(1)
    return 10.0 * torch.log10((signal + 1e-10) / (error + 1e-10 * signal + 1e-10))
