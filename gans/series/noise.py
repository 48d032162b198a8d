"""Noise inputs of the generator; each value is a function of a seed and of the number of its series."""

from typing import NamedTuple

import torch
from torch import Tensor

from gans.series.config import NetworkConfig
from lab import rng


class Noise(NamedTuple):
    """Standard normal noise of the steps [B, T, latent] and of the series [B, series_latent]."""

    steps: Tensor
    series: Tensor


def noise(config: NetworkConfig, length: int, which: Tensor, seed: int, *counters: int) -> Noise:
    """Noise of the series numbered `which`, int64 [B], on their device; `counters` begin with an rng stream."""
    device = which.device
    steps, places = torch.arange(length, device=device), torch.arange(config.latent, device=device)
    of_steps = rng.normal(seed, *counters, 0, which[:, None, None], steps[:, None], places)
    places = torch.arange(config.series_latent, device=device)
    return Noise(of_steps, rng.normal(seed, *counters, 1, which[:, None], places))
