"""Made voices: vowels with moving pitch and formants, hissing consonants and pauses, from a source and a filter.

The source is a train of smooth pulses or noise, and the filter has the resonances of a vocal tract (Fant 1960). It is
not speech, but has its structure in time and frequency: harmonics, formants, onsets and gaps.
"""

import math

import torch
from torch import Tensor

from lab import rng
from lab.audio.stft import inverse_stft, stft

_FFT, _HOP = 256, 64
_TOGETHER = 50  # clips whose steps stay in the cache
_SYLLABLE_S = 0.18  # mean length of a syllable
_SHARPNESS = 200.0  # of a pulse: harmonics fall off beyond about its square root times the pitch
# First three formants in Hz of vowels of a man (Peterson and Barney 1952, table II): i, e, a, o, u, er.
_VOWELS = (
    (270, 2290, 3010),
    (530, 1840, 2480),
    (730, 1090, 2440),
    (570, 840, 2410),
    (300, 870, 2240),
    (490, 1350, 1690),
)
_WIDTHS = (70.0, 100.0, 140.0)
_VOICED, _HISS = 0.65, 0.85  # cumulative probabilities of a vowel and of a consonant; the rest are pauses


def voices(count: int, length: int, rate: int, seed: int) -> Tensor:
    """Clips float32 [count, length] with a peak of 0.5; clip i is a function of (seed, i)."""
    starts = range(0, count, _TOGETHER)
    return torch.cat([_voices(torch.arange(at, min(at + _TOGETHER, count)), length, rate, seed) for at in starts])


def _voices(numbers: Tensor, length: int, rate: int, seed: int) -> Tensor:
    count, numbers = len(numbers), numbers[:, None]
    syllables = max(2, math.ceil(length / rate / _SYLLABLE_S) + 1)
    places = torch.arange(syllables)

    def uniform(what: int) -> Tensor:
        """Uniform [count, syllables]."""
        return rng.uniform(seed, int(rng.Stream.SERIES), numbers, places, what)

    speaker = rng.uniform(seed, int(rng.Stream.SERIES), numbers, 90)
    pitch = 90.0 * 2.0 ** (1.3 * speaker + 0.5 * (uniform(0) - 0.5))  # 90 to 220 Hz, half an octave of melody
    tract = 1.0 + 0.2 * (speaker - 0.3)  # higher voices have shorter tracts and higher formants
    kind = uniform(1)
    kind[:, 0] = 0.5 * _VOICED * kind[:, 0]  # at least one vowel
    voiced, hiss = (kind < _VOICED).float(), ((kind >= _VOICED) & (kind < _HISS)).float()
    loudness = 0.4 + 0.6 * uniform(2)
    vowel = (uniform(3) * len(_VOWELS)).long()
    formants = torch.tensor(_VOWELS).float()[vowel] * tract[:, :, None]

    # Each syllable has its own length; within it values move to the next over its last third.
    ends = (0.6 + 0.8 * uniform(4)).cumsum(1) * _SYLLABLE_S * rate
    times = torch.arange(length)
    which = torch.searchsorted(ends.contiguous(), times.expand(count, -1).float().contiguous()).clamp_max(syllables - 1)
    phase = 2.0 * math.pi * (pitch.gather(1, which) / rate).cumsum(1)
    pulses = (_SHARPNESS * (phase.cos() - 1.0)).exp()
    noise = rng.normal(seed, int(rng.Stream.SERIES), numbers, times, 91)
    amplitudes = [_smooth((part * loudness).gather(1, which)) for part in (voiced, hiss)]

    frames = torch.arange(_HOP // 2, length + _HOP // 2, _HOP).clamp_max(length - 1)
    at = which[:, frames]
    centres = formants.gather(1, at[:, :, None].expand(-1, -1, 3))  # [count, frames, 3]
    bins = torch.arange(_FFT // 2 + 1) * (rate / _FFT)
    filters = _resonances(_smooth(centres.transpose(1, 2)), bins)
    spectrum = stft(pulses - pulses.mean(1, keepdim=True), _FFT, _HOP)
    vowels = inverse_stft(spectrum * filters, _FFT, _HOP, length)
    high = (bins / (0.25 * rate)).clamp_max(1.0).square()[None, :, None]
    hisses = inverse_stft(stft(noise, _FFT, _HOP) * high, _FFT, _HOP, length)
    vowels = vowels / vowels.std(1, keepdim=True).clamp_min(1e-6)
    sound = vowels * amplitudes[0] + 0.25 * hisses * amplitudes[1]
    return 0.5 * sound / sound.abs().amax(1, keepdim=True).clamp_min(1e-6)


def _resonances(centres: Tensor, bins: Tensor) -> Tensor:
    """Gains [count, bins, frames] of formants with centres [count, 3, frames] in Hz."""
    gain = torch.zeros(len(centres), len(bins), centres.shape[-1])
    for index, (width, level) in enumerate(zip(_WIDTHS, (1.0, 0.5, 0.25), strict=True)):
        distance = (bins[None, :, None] - centres[:, index, None]) / width
        gain = gain + level / (1.0 + distance.square())
    return gain


def _smooth(values: Tensor) -> Tensor:
    """Values [..., T], averaged over 9 steps for frames, 161 for samples, so that nothing jumps."""
    width = 161 if values.shape[-1] > 1_000 else 9
    flat = values.reshape(-1, 1, values.shape[-1])
    padded = torch.nn.functional.pad(flat, (width // 2, width // 2), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, width, stride=1).view(values.shape)
