"""Glides: synthetic recordings that sound like vowels, so that the kind needs no file."""

import numpy as np

_HARMONICS = 24


def glides(count: int, seconds: float, rate: int, seed: int) -> list[np.ndarray]:
    """`count` recordings float32 [seconds * rate]: harmonics of a gliding pitch under two gliding formants, and breath.

    Recording i is a function of (seed, i).
    """
    return [_glide(max(1, round(seconds * rate)), rate, np.random.default_rng([seed, index])) for index in range(count)]


def _glide(samples: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    def path(low: float, high: float) -> np.ndarray:
        """A smooth path [samples] between random values from `low` to `high`."""
        points = generator.uniform(low, high, 4)
        return np.interp(np.linspace(0.0, 1.0, samples), np.linspace(0.0, 1.0, 4), points)

    pitch = path(90.0, 260.0)
    phase = 2.0 * np.pi * np.cumsum(pitch) / rate
    formants = (path(300.0, 900.0), path(900.0, 2600.0))
    wave = np.zeros(samples)
    for number in range(1, _HARMONICS + 1):
        frequency = number * pitch
        strength = sum(np.exp(-(((frequency - formant) / 250.0) ** 2)) for formant in formants) + 0.02
        wave += np.where(frequency < 0.45 * rate, strength, 0.0) * np.sin(number * phase)
    breath = generator.normal(size=samples) * path(0.0, 0.05)
    loudness = np.maximum(path(-0.3, 1.0), 0.0)
    whole = wave * loudness + breath
    return (0.7 * whole / np.abs(whole).max()).astype(np.float32)
