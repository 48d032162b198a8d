"""The fundamental frequency of speech: YIN (de Cheveigne and Kawahara 2002), without its last step."""

import torch
from torch import Tensor

_THRESHOLD = 0.2  # of the normalised difference; the paper has 0.1, and synthesizers and rooms are noisier
_CHUNK = 8192  # frames at once


def pitch(wave: Tensor, *, rate: int, hop: int, low: float = 60.0, high: float = 400.0) -> Tensor:
    """Wave float32 [T] -> Hz [ceil(T / hop)], 0 where there is no voice; frame i is centred on the samples i * hop to
    (i + 1) * hop.

    low, high: the range of frequencies in Hz that are looked for. rate: of the samples, in Hz.
    """
    longest, shortest = int(rate / low) + 1, max(2, int(rate / high))
    window = 2 * longest
    frames = -(-len(wave) // hop)
    reach = window + longest
    padded = torch.nn.functional.pad(wave, (reach // 2 - hop // 2, reach + reach // 2 + hop))
    parts = padded.unfold(0, reach, hop)[:frames].split(_CHUNK)
    return torch.cat([_of_frames(part, window, longest, shortest, rate) for part in parts])


def _of_frames(frames: Tensor, window: int, longest: int, shortest: int, rate: int) -> Tensor:
    """Frames [F, window + longest] -> Hz [F]."""
    size = 1 << (frames.shape[1] + window).bit_length()
    spectrum = torch.fft.rfft(frames, size)
    head = torch.fft.rfft(frames[:, :window], size)
    correlation = torch.fft.irfft(spectrum * head.conj(), size)[:, : longest + 1]
    power = torch.nn.functional.pad(frames.double().square().cumsum(1), (1, 0))
    energy = (power[:, window : window + longest + 1] - power[:, : longest + 1]).float()  # of the shifted window
    difference = (energy[:, :1] + energy - 2.0 * correlation).clamp_min(0.0)
    lags = torch.arange(1, longest + 1)
    mean = difference[:, 1:].cumsum(1) / lags
    normal = torch.nn.functional.pad(difference[:, 1:] / mean.clamp_min(1e-9), (1, 0), value=1.0)
    rising = torch.nn.functional.pad(normal[:, 1:] >= normal[:, :-1], (0, 1), value=True)
    found = (normal < _THRESHOLD) & rising
    found[:, :shortest] = False
    found[:, -1] = False
    lag = found.to(torch.uint8).argmax(1)
    voiced = found.any(1) & (energy[:, 0] / window > 1e-7)  # 70 dB below full scale is silence
    before, at, after = (normal.gather(1, (lag + step).clamp(0, longest)[:, None])[:, 0] for step in (-1, 0, 1))
    curvature = (before - 2.0 * at + after).clamp_min(1e-9)
    exact = lag + (0.5 * (before - after) / curvature).clamp(-0.5, 0.5)
    return torch.where(voiced, rate / exact.clamp_min(1.0), 0.0)
