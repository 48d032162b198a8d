"""Memory of a time-series GAN: the synthetic series, both networks and a step of the discriminator."""

import torch
from torch import Tensor

from gans.series.config import SeriesGANConfig, is_file
from gans.series.network import Discriminator, Generator
from lab.run.memory_needs import Need, activations, weights
from lab.train.device import Device

# Part of what a forward pass of both networks saves: a step trains one of them, and penalties keep more. Measured.
_KEPT = {"rnn": 2.0, "cnn": 0.8}
_COPIES = 8 + 8 + 4  # a value is generated and standardised in float64, and kept in float32


def data_needs(config: SeriesGANConfig) -> list[Need]:
    """Memory of the synthetic series; that of a file is known when it has been read."""
    made, length = config.data.synthetic, config.data.length
    if is_file(config.data):
        return []
    size = made.series * length * made.channels * _COPIES
    return [Need("the synthetic series", size, "data.synthetic.series or data.length", on_device=False)]


def training_needs(config: SeriesGANConfig, channels: int, classes: int, device: Device) -> list[Need]:
    """Memory of both networks and of a step, for data of these channels and classes."""
    network, training, length = config.network, config.training, config.data.length
    rows = min(training.micro_batch or training.batch_size, training.batch_size)
    with torch.device("meta"):
        both = torch.nn.ModuleList([Generator(network, channels, classes), Discriminator(network, channels, classes)])
        generator, discriminator = both
        labels = torch.zeros(2 * rows, dtype=torch.int64) if classes else None
        real = torch.zeros(rows, length, channels)
        noise = torch.zeros(rows, length, network.latent), torch.zeros(rows, network.series_latent)

        def forward() -> Tensor:
            made = generator(*noise, None if labels is None else labels[:rows])
            return discriminator(torch.cat([real, made]), labels)

        step = activations(
            both, forward, device, reduce_with="training.micro_batch, training.batch_size or data.length"
        )
    kept = config.data.synthetic.series * length * channels * 4 if not is_file(config.data) else 0
    return [
        Need("the series", kept, "data.synthetic.series or data.length"),
        weights(both, training, copies=1, reduce_with="network.hidden or network.discriminator_hidden"),
        Need(step.what, step.size * _KEPT[network.discriminator], step.reduce_with),
    ]
