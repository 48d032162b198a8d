"""The vocoder as an experiment: iterations of training steps, evaluation, state."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gans.losses import AdversarialLoss, Batch
from gans.trainer import Trainer
from gans.vocoder.config import VocoderConfig
from gans.vocoder.dataset import check_same, open_speech, warn
from gans.vocoder.evaluation import Resynthesis
from gans.vocoder.memory import data_needs, training_needs
from gans.vocoder.metrics import CATALOGUE
from gans.vocoder.network import Discriminator, Generator
from gans.vocoder.spectral_loss import SpectralLoss
from gans.vocoder.vocoder import Vocoder
from lab.audio.mel import log_mel
from lab.audio.wav import write_wav
from lab.errors import CheckpointError
from lab.plots.images import save_png
from lab.plots.media import Image
from lab.run import memory_needs
from lab.run.experiment import Evaluation, Experiment
from lab.train.device import Device


class VocoderExperiment(Experiment):
    """Vocos trained on spectral distances and by a discriminator of spectrograms."""

    progress = "windows"
    catalogue = CATALOGUE

    def __init__(self, config: VocoderConfig, directory: Path, device: Device) -> None:
        self.config, self._device = config, device
        memory_needs.check(data_needs(config), device)
        self._data = open_speech(config)
        warn(self._data.remarks)
        memory_needs.check(training_needs(config, len(self._data.samples), device), device)
        self._fingerprint = self._data.fingerprint()
        self._resynthesis = Resynthesis(self._data.held_out, config)
        self._samples_directory = directory / "samples"
        self.trainer = make_trainer(config, device)

    @property
    def counters(self) -> dict[str, int]:
        return {"windows": self.trainer.shown, "steps": self.trainer.steps}

    def iterate(self) -> dict[str, float]:
        """Steps until `windows_per_iteration` more windows have been shown."""
        return self.trainer.iterate(self.config.training.windows_per_iteration, self._batch)

    def evaluate(self) -> Evaluation:
        """Distances of held-out recordings made again, beside Griffin-Lim; their spectrograms and a WAV file."""
        vocoder = self.vocoder()
        metrics = self._resynthesis.evaluate(vocoder) | self._resynthesis.baseline()
        pixels, wave = self._resynthesis.picture(vocoder)
        self._samples_directory.mkdir(exist_ok=True)
        name = f"{self.trainer.shown:010d}"
        save_png(self._samples_directory / f"{name}.png", pixels)
        write_wav(self._samples_directory / f"{name}.wav", wave, self.config.mel.rate)
        caption = f"recording, vocoder, Griffin-Lim; {self.trainer.shown:,} windows"
        return Evaluation(metrics, [Image("spectrograms", pixels, caption)])

    def vocoder(self) -> Vocoder:
        """The averaged generator, ready for use."""
        return Vocoder(self.trainer.average.module, self.config, self.trainer.shown, self._fingerprint, self._device)

    def state_dict(self) -> dict[str, Any]:
        return {"trainer": self.trainer.state_dict(), "data": self._fingerprint}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if "data" not in state or "trainer" not in state:
            raise CheckpointError("it is not of a vocoder")
        otherwise = "put the old data back, or start a new run"
        check_same(self.config.data, self._fingerprint, state["data"], otherwise)
        self.trainer.load_state_dict(state["trainer"])

    def _batch(self, start: int) -> Batch:
        """Window number `start` to `start + batch_size`, and their spectrograms as the condition."""
        count, device = self.config.training.batch_size, self._device.device
        numbers = torch.arange(start, start + count)
        waves = self._data.windows(numbers, self.config.seed).to(device)
        return Batch(waves, numbers.to(device), count, condition=log_mel(waves, self.config.mel))


def build(config: VocoderConfig, directory: Path, device: Device) -> VocoderExperiment:
    """A vocoder experiment whose files go to `directory`."""
    return VocoderExperiment(config, directory, device)


def make_trainer(config: VocoderConfig, device: Device) -> Trainer[Generator]:
    """A trainer in float32: transforms of waves lose quiet parts in lower precision."""
    device = replace(device, precision="fp32")
    generator = Generator(config.network, config.mel).to(device.device)
    discriminator = Discriminator(config.network).to(device.device)
    loss = AdversarialLoss(
        config.loss,
        generator,
        discriminator,
        noise=lambda numbers, seed, *counters: (),
        device=device,
        seed=config.seed,
        reconstruction=SpectralLoss(config.network.resolutions, config.loss.spectral_weight),
    )
    return Trainer(loss, config.training, device, discriminator_heads=[discriminator], generator_heads=[generator])
