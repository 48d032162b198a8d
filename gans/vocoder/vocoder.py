"""A trained vocoder: log-mel spectrograms to waves, whole or as they come."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gans.vocoder.config import VocoderConfig
from gans.vocoder.network import Generator
from lab.audio.mel import MelConfig
from lab.audio.stft import inverse_stft
from lab.run.load import load_run
from lab.train.device import Device

_PIECE = 64  # new frames of a piece


@dataclass(frozen=True, eq=False)
class Vocoder:
    """A generator in evaluation mode, the windows shown during its training, the fingerprint of its data."""

    generator: Generator
    config: VocoderConfig
    windows_shown: int
    fingerprint: str
    device: Device

    @property
    def mel(self) -> MelConfig:
        """The spectrogram that it expects."""
        return self.config.mel

    @classmethod
    def load(cls, run: Path, device: Device, checkpoint: str = "latest") -> "Vocoder":
        """The vocoder of a run's checkpoint: "latest", "best" or an iteration. Raises UserError."""
        trained = load_run(run, VocoderConfig, checkpoint)
        with trained.restoring("generator") as state:
            generator = Generator(trained.config.network, trained.config.mel)
            generator.load_state_dict(state["trainer"]["average"]["module"])
            shown, fingerprint = int(state["trainer"]["shown"]), str(state["data"])
        generator = generator.to(device.device).eval().requires_grad_(False)
        return cls(generator, trained.config, shown, fingerprint, device)

    @torch.no_grad()
    def __call__(self, spectrogram: Tensor) -> Tensor:
        """Log-mel float32 [N, bands, frames] -> waves [N, frames * hop] on the CPU."""
        return self.generator(spectrogram.to(self.device.device)).cpu()

    @torch.no_grad()
    def stream(self, spectrograms: Iterable[Tensor], piece: int = _PIECE) -> Iterator[Tensor]:
        """Log-mel parts [bands, n] of one spectrogram -> parts [t] of the wave of the whole, rounding aside.

        A part of the wave is given once the frames that it depends on are known: `piece` of them and some
        neighbours, a fraction of a second.
        """
        mel, reach = self.mel, self.generator.reach
        overlap = -(-mel.fft // mel.hop)  # frames on either side whose windows touch a sample
        margin = reach + overlap
        known = torch.empty(mel.bands, 0)
        first = 0  # frame of the whole at which `known` begins
        done = 0  # frames whose samples were given
        finished = False
        parts = iter(spectrograms)
        while not finished:
            part = next(parts, None)
            finished = part is None
            if part is not None:
                known = torch.cat([known, part.cpu()], 1)
            last = first + known.shape[1]
            ready = last if finished else last - margin
            if ready - done < (1 if finished else piece):
                continue
            spectrum = self.generator.spectrum(known[None].to(self.device.device))
            wave = inverse_stft(spectrum, mel.fft, mel.hop)[0]
            yield wave[(done - first) * mel.hop : (ready - first) * mel.hop].cpu()
            done = ready
            dropped = max(0, done - margin - first)
            known, first = known[:, dropped:], first + dropped
