"""Memory of a vocoder: the recordings, both networks and a step of the discriminator."""

import torch
from torch import Tensor

from gans.vocoder.config import VocoderConfig
from gans.vocoder.dataset import is_file
from gans.vocoder.network import Discriminator, Generator
from lab.run.memory_needs import Need, activations, weights
from lab.train.device import Device

_COPIES = 8 + 4 + 4  # a sample is made in float64, and kept twice while recordings are joined


def data_needs(config: VocoderConfig) -> list[Need]:
    """Memory of synthetic recordings; that of files is known when they have been read."""
    made = config.data.synthetic
    if is_file(config.data):
        return []
    size = made.recordings * made.seconds * config.mel.rate * _COPIES
    return [Need("the recordings", size, "data.synthetic.recordings or data.synthetic.seconds", on_device=False)]


def training_needs(config: VocoderConfig, samples: int, device: Device) -> list[Need]:
    """Memory of both networks and of a step, beside recordings of so many samples."""
    training, window = config.training, config.data.frames * config.mel.hop
    rows = min(training.micro_batch or training.batch_size, training.batch_size)
    with torch.device("meta"):
        both = torch.nn.ModuleList([Generator(config.network, config.mel), Discriminator(config.network)])
        generator, discriminator = both
        real = torch.zeros(rows, window)
        spectrogram = torch.zeros(rows, config.mel.bands, config.data.frames)

        def forward() -> Tensor:
            return discriminator(torch.cat([real, generator(spectrogram)]))

        step = activations(
            both, forward, device, reduce_with="training.micro_batch, training.batch_size or data.frames"
        )
    return [
        Need("the recordings", samples * 4, "data.source", on_device=False),
        weights(both, training, copies=1, reduce_with="network.width or network.blocks"),
        step,
    ]
