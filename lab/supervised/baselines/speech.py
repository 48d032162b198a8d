"""Classical filters of noisy speech, and the best possible mask."""

import numpy as np
import torch
from torch import Tensor

from lab.audio.stft import inverse_stft, stft

_FFT, _HOP = 256, 64
_QUIET = 0.2  # quantile of a bin over time that is taken as noise
_FLOOR = 0.02  # least gain of the amplitude: less leaves single tones, "musical noise"
_SMOOTHING = 0.98  # of the a priori ratio from frame to frame


def filtered(noisy: Tensor) -> dict[str, Tensor]:
    """Noisy waves [N, T], filtered by each method. The noise of each bin is a low quantile of its power over time."""
    spectrum = stft(noisy, _FFT, _HOP)
    power = spectrum.abs().square()
    # The power of Gaussian noise in a bin is exponential: this quantile is so much below its mean.
    noise = power.quantile(_QUIET, dim=2, keepdim=True) / -float(np.log1p(-_QUIET))
    return {
        "spectral subtraction": _masked(spectrum, subtraction_gain(power, noise), noisy.shape[1]),
        "Wiener filter": _masked(spectrum, wiener_gain(power, noise), noisy.shape[1]),
    }


def ideal(noisy: Tensor, clean: Tensor) -> Tensor:
    """Noisy waves [N, T], filtered by the best mask in [0, 1] for each bin, which needs the clean ones."""
    spectrum, wanted = stft(noisy, _FFT, _HOP), stft(clean, _FFT, _HOP)
    # The nearest point to the clean bin on the ray to the noisy one (phase-sensitive mask, Erdogan et al. 2015).
    gain = (wanted * spectrum.conj()).real / spectrum.abs().square().clamp_min(1e-12)
    return _masked(spectrum, gain.clamp(0.0, 1.0), noisy.shape[1])


def subtraction_gain(power: Tensor, noise: Tensor) -> Tensor:
    """Gains of the amplitude [N, F, frames] by subtraction of the power of the noise [N, F, 1] (Boll 1979)."""
    return (1.0 - noise / power.clamp_min(1e-12)).clamp_min(_FLOOR**2).sqrt()


def wiener_gain(power: Tensor, noise: Tensor) -> Tensor:
    """Gains [N, F, frames] of a Wiener filter with the decision-directed ratio (Scalart and Filho 1996)."""
    ratio = power / noise.clamp_min(1e-12)
    gains, before = [], torch.zeros_like(ratio[..., 0])
    for now in ratio.unbind(2):
        prior = _SMOOTHING * before + (1.0 - _SMOOTHING) * (now - 1.0).clamp_min(0.0)
        gain = (prior / (1.0 + prior)).clamp_min(_FLOOR)
        before = gain.square() * now
        gains.append(gain)
    return torch.stack(gains, 2)


def _masked(spectrum: Tensor, gain: Tensor, samples: int) -> Tensor:
    return inverse_stft(spectrum * gain, _FFT, _HOP, samples)
