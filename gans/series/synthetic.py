"""Synthetic series of known statistics: sines of random frequency and phase, and an autoregressive process."""

import math

import torch
from torch import Tensor

from gans.series.config import SyntheticConfig
from lab import rng

_FREQUENCY, _PHASE, _SHOCK, _CLASS = range(4)


def classes_of(config: SyntheticConfig, seed: int) -> Tensor | None:
    """int64 [series], or None without classes."""
    if not config.classes:
        return None
    which = torch.arange(config.series)
    return rng.integers(config.classes, seed, int(rng.Stream.SERIES), _CLASS, which)


def sines(config: SyntheticConfig, length: int, seed: int, classes: Tensor | None = None) -> Tensor:
    """float32 [series, length, channels]: sin(2 pi f t + phase), f uniform in `frequency`, phase on the whole circle.

    Each channel has its own (Yoon et al. 2019, section 5.1). Class k of n has the k-th of n equal bands of frequency.
    The autocorrelation at lag l is the mean of cos(2 pi f l) over the frequencies.
    """
    places = _places(config)
    low, high = config.frequency
    position = rng.uniform(seed, int(rng.Stream.SERIES), _FREQUENCY, *places)
    if classes is not None:
        position = (classes[:, None] + position) / config.classes
    phase = rng.uniform(seed, int(rng.Stream.SERIES), _PHASE, *places)
    cycles = (low + (high - low) * position)[:, None] * torch.arange(length)[None, :, None] + phase[:, None]
    return torch.sin(2.0 * math.pi * cycles)


def autoregressive(config: SyntheticConfig, length: int, seed: int, classes: Tensor | None = None) -> Tensor:
    """float32 [series, length, channels]: x_t = a x_(t-1) + sqrt(1 - a**2) e_t, started in the stationary state.

    e_t is normal with variance 1 and correlation `correlation` between channels, and so is x_t; the autocorrelation at
    lag l is a**l. a is `autocorrelation`, in class k of n times (k + 1) / n.
    """
    series, channels = _places(config)
    steps = torch.arange(length)[None, :, None]
    own = rng.normal(seed, int(rng.Stream.SERIES), _SHOCK, series[:, None], steps, channels)
    common = rng.normal(seed, int(rng.Stream.SERIES), _SHOCK, series[:, None], steps, config.channels)
    shocks = math.sqrt(1.0 - config.correlation) * own + math.sqrt(config.correlation) * common
    factor = torch.full((config.series, 1), config.autocorrelation)
    if classes is not None:
        factor = factor * (classes[:, None] + 1) / config.classes
    values = [shocks[:, 0]]
    for step in range(1, length):
        values.append(factor * values[-1] + (1.0 - factor.square()).sqrt() * shocks[:, step])
    return torch.stack(values, dim=1)


def _places(config: SyntheticConfig) -> tuple[Tensor, Tensor]:
    """Numbers of the series [series, 1] and of the channels [1, channels]."""
    return torch.arange(config.series)[:, None], torch.arange(config.channels)[None, :]
