"""Held-out recordings made again from their spectrograms, by the vocoder and by Griffin-Lim."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from gans.vocoder.config import VocoderConfig
from gans.vocoder.spectral_loss import spectral_distance
from lab.audio.distortion import mel_cepstral_distortion, spectral_convergence
from lab.audio.griffin_lim import mel_to_wave
from lab.audio.mel import log_mel
from lab.audio.stft import stft
from lab.plots.images import enlarged, grid

ToWave = Callable[[Tensor], Tensor]
_SCALE = 2  # screen pixels of a band


class Resynthesis:
    """Compares waves made from the spectrograms of `recordings`, each float32 [t], with these recordings."""

    def __init__(self, recordings: Sequence[Tensor], config: VocoderConfig) -> None:
        chosen, longest = config.evaluate, round(config.evaluate.seconds * config.mel.rate)
        self._recordings = [wave[:longest] for wave in recordings[: chosen.recordings]]
        self._config = config
        self._baseline: dict[str, float] | None = None

    def evaluate(self, to_wave: ToWave) -> dict[str, float]:
        """Metrics eval/* of log-mel [1, bands, frames] -> wave [1, T], means over recordings."""
        found = [self._compare(wave, to_wave) for wave in self._recordings]
        return {name: float(np.mean([one[name] for one in found])) for name in found[0]}

    def baseline(self) -> dict[str, float]:
        """The metrics of Griffin-Lim, named eval/*_griffin_lim."""
        if self._baseline is None:
            self._baseline = {f"{name}_griffin_lim": value for name, value in self.evaluate(self.griffin_lim).items()}
        return self._baseline

    def griffin_lim(self, spectrogram: Tensor) -> Tensor:
        """The baseline: log-mel [1, bands, frames] -> wave [1, T]."""
        iterations = self._config.evaluate.griffin_lim_iterations
        return mel_to_wave(spectrogram.cpu(), self._config.mel, iterations=iterations)

    def picture(self, to_wave: ToWave) -> tuple[np.ndarray, Tensor]:
        """Log-mel of the first recording, of `to_wave` and of Griffin-Lim below each other, and the wave [T]."""
        mel, real = self._config.mel, self._recordings[0][None]
        given = log_mel(real, mel)
        made = to_wave(given).cpu()
        rows = torch.stack([given, log_mel(made, mel), log_mel(self.griffin_lim(given), mel)])
        low, high = float(given.min()), float(given.max())
        pixels = ((rows - low) / max(high - low, 1e-6)).clamp(0.0, 1.0).mul(255.0).to(torch.uint8).flip(2)
        return grid(enlarged(pixels, _SCALE), columns=1, gap=4), made[0]

    def _compare(self, real: Tensor, to_wave: ToWave) -> dict[str, float]:
        mel, real = self._config.mel, real[None]
        given = log_mel(real, mel)
        made = to_wave(given).cpu()[:, : real.shape[1]]
        magnitudes = [stft(wave, mel.fft, mel.hop).abs() for wave in (made, real)]
        return {
            "eval/mcd_db": mel_cepstral_distortion(log_mel(made, mel)[0], given[0]),
            "eval/spectral_convergence": spectral_convergence(*magnitudes),
            "eval/spectral_distance": float(spectral_distance(made, real, self._config.network.resolutions)),
        }
