"""Waves from magnitudes: the fast Griffin-Lim algorithm, whole or in overlapping pieces."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from lab.audio.mel import MelConfig, to_magnitude
from lab.audio.stft import inverse_stft, stft

MOMENTUM = 0.99
"""Acceleration that Perraudin et al. recommend."""


def griffin_lim(
    magnitude: Tensor, *, fft: int, hop: int, iterations: int = 32, seed: int = 0, phase: Tensor | None = None
) -> Tensor:
    """Magnitudes [N, fft // 2 + 1, frames] -> a wave [N, frames * hop] whose spectrum has nearly these magnitudes.

    Fast Griffin-Lim (Perraudin, Balazs, Sondergaard 2013, algorithm 2). phase: complex start [N, fft // 2 + 1, frames]
    of absolute value 1; by default random from `seed`, the same for every row.
    """
    if phase is None:
        phase = random_phase(magnitude.shape[1:], seed).to(magnitude.device).expand(magnitude.shape)
    previous = projected = inverse = magnitude * phase
    for step in range(iterations):
        inverse = stft(inverse_stft(projected, fft, hop), fft, hop)
        moved = inverse if step == 0 else inverse + MOMENTUM * (inverse - previous)
        previous = inverse
        projected = magnitude * unit(moved)
    return inverse_stft(projected, fft, hop)


def mel_to_wave(spectrogram: Tensor, config: MelConfig, *, iterations: int = 32, seed: int = 0) -> Tensor:
    """Log-mel [N, bands, frames] -> wave [N, frames * hop] in about [-1, 1]."""
    magnitude = to_magnitude(spectrogram, config)
    return griffin_lim(magnitude, fft=config.fft, hop=config.hop, iterations=iterations, seed=seed)


def stream_wave(
    spectrograms: Iterable[Tensor],
    config: MelConfig,
    *,
    piece: int = 64,
    overlap: int = 16,
    iterations: int = 32,
    seed: int = 0,
) -> Iterator[Tensor]:
    """Log-mel parts [bands, n] of one spectrogram, n > 0 -> parts [t] of its wave as soon as they are known.

    A piece of `piece` frames starts with the phases of the last `overlap` frames of the piece before it, and is
    cross-faded with them. The parts together have frames * hop samples. Raises ValueError for an overlap that is too
    short for the frames to fade in, or not below the piece.
    """
    margin = math.ceil(config.fft / (2 * config.hop))  # frames at an edge whose windows see beyond it
    if not 2 * margin < overlap < piece:
        raise ValueError(f"overlap {overlap} must lie between {2 * margin} and the {piece} frames of a piece")
    waiting = torch.empty(0)
    tail = torch.empty(0)  # samples of the first `overlap` waiting frames, as the piece before heard them
    for part in spectrograms:
        waiting = torch.cat([waiting, part], 1) if waiting.numel() else part
        while waiting.shape[1] >= piece:
            wave = _piece(waiting[:, :piece], tail, config, margin, iterations, seed)
            held = overlap * config.hop
            yield wave[:-held]
            tail, waiting = wave[-held:], waiting[:, piece - overlap :]
    if waiting.numel():
        yield _piece(waiting, tail, config, margin, iterations, seed)


def random_phase(shape: torch.Size | tuple[int, ...], seed: int) -> Tensor:
    """Complex numbers of absolute value 1 on the CPU, uniform in angle."""
    angle = 2.0 * math.pi * torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return torch.polar(torch.ones_like(angle), angle)


def unit(spectrum: Tensor) -> Tensor:
    """Complex numbers divided by their absolute value, 0 for 0."""
    return spectrum / spectrum.abs().clamp_min(1e-12)


def _piece(spectrogram: Tensor, tail: Tensor, config: MelConfig, margin: int, iterations: int, seed: int) -> Tensor:
    """Wave [frames * hop] of log-mel [bands, frames] that continues `tail`, the samples of its first frames."""
    magnitude = to_magnitude(spectrogram[None], config)
    phase = random_phase(magnitude.shape[1:], seed).to(magnitude.device)[None]
    if tail.numel():
        known = unit(stft(tail[None], config.fft, config.hop))[..., :-margin]
        phase = torch.cat([known, phase[..., known.shape[-1] :]], -1)
    wave = griffin_lim(magnitude, fft=config.fft, hop=config.hop, iterations=iterations, phase=phase)[0]
    if tail.numel():
        fading = tail.shape[0] - 2 * margin * config.hop
        zeros = torch.zeros(margin * config.hop, device=wave.device)
        ramp = torch.linspace(0.0, 1.0, fading, device=wave.device)
        weight = torch.cat([zeros, ramp, 1.0 - zeros])
        wave = torch.cat([torch.lerp(tail, wave[: tail.shape[0]], weight), wave[tail.shape[0] :]])
    return wave
