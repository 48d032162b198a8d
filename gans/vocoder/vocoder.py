"""A trained vocoder: log-mel spectrograms to waves."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gans.vocoder.config import VocoderConfig
from gans.vocoder.network import Generator
from lab.audio.mel import MelConfig
from lab.run.load import load_run
from lab.train.device import Device


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
