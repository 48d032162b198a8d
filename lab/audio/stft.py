"""Short-time Fourier transform whose frames are the hops of a wave, and its inverse. Both are differentiable."""

import torch
import torch.nn.functional as F
from torch import Tensor


def frame_count(samples: int, hop: int) -> int:
    """Frames of a wave: ceil(samples / hop)."""
    return -(-samples // hop)


def stft(wave: Tensor, fft: int, hop: int) -> Tensor:
    """Wave float32 [N, T] -> complex spectrum [N, fft // 2 + 1, ceil(T / hop)].

    Frame i is centred on the samples i * hop to (i + 1) * hop, under a periodic Hann window of `fft` samples. The wave
    is taken as zero outside, which is defined for any T and does not look ahead, as reflection would.
    """
    frames = frame_count(wave.shape[-1], hop)
    left = (fft - hop) // 2
    right = frames * hop - wave.shape[-1] + fft - hop - left
    window = torch.hann_window(fft, device=wave.device, dtype=wave.dtype)
    padded = F.pad(wave, (left, right))
    return torch.stft(padded, fft, hop, window=window, center=False, return_complex=True)


def inverse_stft(spectrum: Tensor, fft: int, hop: int, samples: int | None = None) -> Tensor:
    """Complex [N, fft // 2 + 1, frames] -> the wave [N, frames * hop] with the nearest spectrum, cut to `samples`.

    Least squares (Griffin and Lim 1984, equation 6): windowed frames are overlapped and divided by the sum of squared
    windows. Needs hop <= fft / 2, so that every sample lies well inside a window.
    """
    frames = spectrum.shape[-1]
    window = torch.hann_window(fft, device=spectrum.device, dtype=spectrum.real.dtype)
    pieces = torch.fft.irfft(spectrum, fft, dim=1) * window[:, None]
    total = (frames - 1) * hop + fft
    wave = _overlap(pieces, total, hop)
    envelope = _overlap(window.square()[None, :, None].expand(1, -1, frames), total, hop)
    left = (fft - hop) // 2
    kept = slice(left, left + frames * hop)
    return (wave[:, kept] / envelope[:, kept])[:, :samples]


def _overlap(pieces: Tensor, total: int, hop: int) -> Tensor:
    """Pieces [N, fft, frames] added at distances of `hop`: [N, total]."""
    fft = pieces.shape[1]
    return F.fold(pieces, (1, total), (1, fft), stride=(1, hop))[:, 0, 0]
