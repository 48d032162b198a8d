"""Log-mel spectrograms and their approximate inverse."""

from functools import lru_cache
from typing import Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from lab.audio.stft import stft
from lab.config.sections import Config

FLOOR = 1e-5
"""Smallest mel magnitude; quieter ones are raised to it before the logarithm."""


class MelConfig(Config):
    """A log-mel spectrogram: sampling rate, frames and bands."""

    rate: int = Field(default=16_000, ge=1_000, le=384_000, description="Sampling rate in Hz.")
    fft: int = Field(default=1024, ge=16, le=2**16, description="Samples of a frame.")
    hop: int = Field(default=200, ge=1, le=2**15, description="Samples from one frame to the next.")
    bands: int = Field(default=80, ge=1, le=1024, description="Mel bands.")
    low: float = Field(default=0.0, ge=0.0, description="Lowest frequency in Hz.")
    high: float = Field(default=8_000.0, gt=0.0, description="Highest frequency in Hz, at most half the rate.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.low < self.high <= self.rate / 2:
            raise ValueError(
                f"low {self.low:g} and high {self.high:g} must rise and end at {self.rate / 2:g} Hz, half the rate"
            )
        if self.fft % 2 or self.hop > self.fft // 2:
            raise ValueError(f"fft {self.fft} must be even and at least twice the hop, {self.hop}")
        empty = int((_filters(self).sum(1) == 0).sum())
        if empty:
            raise ValueError(
                f"{empty} of {self.bands} bands lie between two frequencies of the transform; "
                "take fewer bands or a larger fft"
            )
        return self

    @property
    def frames_per_s(self) -> float:
        """Frames in a second."""
        return self.rate / self.hop


def hertz_to_mel(hertz: np.ndarray) -> np.ndarray:
    """Frequencies in Hz on the mel scale of Slaney's Auditory Toolbox (1998): linear up to 1 kHz, then logarithmic."""
    hertz = np.asarray(hertz, np.float64)
    return np.where(
        hertz < 1000.0, hertz * 0.015, 15.0 + 27.0 * np.log(np.maximum(hertz, 1000.0) / 1000.0) / np.log(6.4)
    )


def mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    """The inverse of `hertz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    return np.where(mel < 15.0, mel / 0.015, 1000.0 * np.exp((np.maximum(mel, 15.0) - 15.0) * np.log(6.4) / 27.0))


def mel_filters(config: MelConfig) -> Tensor:
    """Triangular filters float32 [bands, fft // 2 + 1], equally spaced in mel, each with the area 1 over Hz."""
    return torch.from_numpy(_filters(config).astype(np.float32))


def log_mel(wave: Tensor, config: MelConfig) -> Tensor:
    """Wave float32 [N, T] in [-1, 1] -> natural logarithm of mel magnitudes [N, bands, ceil(T / hop)].

    Frames and their zero padding: see `lab.audio.stft.stft`. Magnitudes below `FLOOR` become log(FLOOR) = -11.5.
    Differentiable.
    """
    spectrum = stft(wave, config.fft, config.hop)
    # abs has no gradient at 0, and silence is common.
    magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()
    return (filters_on(config, wave.device) @ magnitude).clamp_min(FLOOR).log()


def to_magnitude(spectrogram: Tensor, config: MelConfig, iterations: int = 30) -> Tensor:
    """Log-mel [N, bands, frames] -> magnitudes [N, fft // 2 + 1, frames] whose mel bands are nearest.

    Non-negative least squares by multiplicative updates (Lee and Seung 2001), from the clipped pseudo-inverse.
    """
    filters = filters_on(config, spectrogram.device)
    mel = spectrogram.float().exp()
    target = filters.T @ mel
    magnitude = (pseudo_inverse(config, spectrogram.device) @ mel).clamp_min(1e-6)
    for _ in range(iterations):
        magnitude = magnitude * target / (filters.T @ (filters @ magnitude)).clamp_min(1e-12)
    return magnitude


@lru_cache(maxsize=32)
def filters_on(config: MelConfig, device: torch.device) -> Tensor:
    """`mel_filters` on a device, made once."""
    return mel_filters(config).to(device)


@lru_cache(maxsize=32)
def pseudo_inverse(config: MelConfig, device: torch.device) -> Tensor:
    """The matrix float32 [fft // 2 + 1, bands] from mel magnitudes to the magnitudes of least norm, some negative."""
    return torch.from_numpy(np.linalg.pinv(_filters(config)).astype(np.float32)).to(device)


def _filters(config: MelConfig) -> np.ndarray:
    low, high = hertz_to_mel(np.array([config.low, config.high]))
    edges = mel_to_hertz(np.linspace(low, high, config.bands + 2))
    frequencies = np.arange(config.fft // 2 + 1) * config.rate / config.fft
    below, centre, above = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((frequencies - below) / (centre - below), (above - frequencies) / (above - centre))
    return np.maximum(triangles, 0.0) * 2.0 / (above - below)
