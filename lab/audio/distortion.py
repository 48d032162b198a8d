"""Distances between recordings: mel-cepstral distortion under dynamic time warping, spectral convergence."""

import math

import numpy as np
import torch
from torch import Tensor

COEFFICIENTS = 13


def mel_cepstrum(spectrogram: np.ndarray, coefficients: int = COEFFICIENTS) -> np.ndarray:
    """Log-mel magnitudes [bands, frames] -> cepstral coefficients 1 to `coefficients`, float64 [coefficients, frames].

    c_m = 2 / bands * sum_b log_mel_b * cos(pi * m * (b + 0.5) / bands), so that log_mel = c_0 / 2 + sum_m c_m cos(...).
    The 0th is left out: it is the loudness.
    """
    bands = spectrogram.shape[0]
    orders = np.arange(1, coefficients + 1)[:, None]
    cosines = np.cos(np.pi * orders * (np.arange(bands) + 0.5) / bands)
    return 2.0 / bands * cosines @ spectrogram.astype(np.float64)


def mel_cepstral_distortion(spectrogram: Tensor, reference: Tensor) -> float:
    """Mel-cepstral distortion in dB of log-mel [bands, n] and [bands, m], averaged along their best alignment.

    10 / ln 10 * sqrt(2 * sum of squared differences) of 13 coefficients (Kubichek 1993); this is the RMS difference of
    the smoothed log spectra in dB, loudness aside. Lengths may differ: frames are aligned by dynamic time warping.
    """
    found, wanted = (mel_cepstrum(one.detach().cpu().numpy()) for one in (spectrogram, reference))
    squares = (found**2).sum(0)[:, None] + (wanted**2).sum(0)[None] - 2.0 * found.T @ wanted
    costs = 10.0 / math.log(10.0) * np.sqrt(2.0 * np.maximum(squares, 0.0))
    return warped_mean(costs)


def warped_mean(costs: np.ndarray) -> float:
    """Mean of costs [n, m] along the cheapest path from (0, 0) to (n - 1, m - 1), steps (1, 0), (0, 1) and (1, 1).

    Dynamic time warping (Sakoe and Chiba 1978, symmetric steps without slope constraint). Of equally cheap steps the
    diagonal is taken. Raises ValueError without frames.
    """
    rows, columns = costs.shape
    if not rows or not columns:
        raise ValueError("an empty recording has no distortion")
    # One anti-diagonal at a time, indexed by row; index 0 is a border of infinite cost.
    border = np.full(rows + 1, np.inf)
    before, last = border.copy(), border.copy()
    steps_before, steps_last = np.zeros(rows + 1), np.zeros(rows + 1)
    before[0] = 0.0  # the cell from which the path enters (0, 0)
    for diagonal in range(rows + columns - 1):
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        options = np.stack([before[row], last[row], last[row + 1]])  # from (r-1, c-1), (r-1, c), (r, c-1)
        lengths = np.stack([steps_before[row], steps_last[row], steps_last[row + 1]])
        best = options.argmin(0)
        new, steps = border.copy(), np.zeros(rows + 1)
        new[row + 1] = options[best, np.arange(len(row))] + costs[row, diagonal - row]
        steps[row + 1] = lengths[best, np.arange(len(row))] + 1.0
        before, last, steps_before, steps_last = last, new, steps_last, steps
    return float(last[rows] / steps_last[rows])


def spectral_convergence(magnitude: Tensor, reference: Tensor) -> float:
    """|magnitude - reference| / |reference|, Frobenius norms of [..., F, frames]; 0 is equal (Arik et al. 2018)."""
    return float(torch.linalg.norm(magnitude - reference) / torch.linalg.norm(reference).clamp_min(1e-12))
