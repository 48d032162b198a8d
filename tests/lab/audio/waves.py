"""Waves that tests know everything about."""

import math

import torch
from torch import Tensor


def sine(frequency: float, rate: int, seconds: float, amplitude: float = 0.5) -> Tensor:
    """float32 [T]."""
    return amplitude * torch.sin(2.0 * math.pi * frequency * torch.arange(round(rate * seconds)) / rate)


def vowel(rate: int, seconds: float, pitch: float = 120.0) -> Tensor:
    """float32 [T]: harmonics of a pitch that rises by a tenth, under two formants, silent at both ends."""
    count = round(rate * seconds)
    time = torch.arange(count) / rate
    frequency = pitch * (1.0 + 0.1 * time / seconds)
    phase = 2.0 * math.pi * torch.cumsum(frequency / rate, 0)
    wave = torch.zeros(count)
    for number in range(1, int(0.45 * rate / (1.1 * pitch))):
        strength = sum(math.exp(-(((number * pitch - formant) / 300.0) ** 2)) for formant in (600.0, 1700.0)) + 0.01
        wave += strength * torch.sin(number * phase)
    wave *= torch.hann_window(count, periodic=False)
    return 0.7 * wave / wave.abs().max()
