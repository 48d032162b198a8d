"""Memory of a voice: its recordings as log-mel frames, the network and a training step."""

from pathlib import Path

import torch
from torch import Tensor

from lab.nets.rnn import set_padding_masked
from lab.run.memory_needs import Need, activations, weights
from lab.speech.config import SpeechConfig
from lab.speech.corpus import WAVS
from lab.speech.network import AcousticModel
from lab.train.device import Device

_COPIES = 3  # the frames, their standardised form, and both joined for the means
_STEPS = 16  # frames and phones that are counted; each further one takes as much


def data_needs(config: SpeechConfig) -> list[Need]:
    """Memory of the recordings, 16 bits a sample, before they are read."""
    folder = Path(config.data.source).expanduser() / WAVS
    size = sum(path.stat().st_size for path in folder.glob("*.wav")) if folder.is_dir() else 0
    frames = size / 2 / config.mel.hop
    return [Need("the recordings", frames * config.mel.bands * 4 * _COPIES, "the recordings in data.source")]


def training_needs(config: SpeechConfig, phones: int, frames: int, device: Device) -> list[Need]:
    """Memory of the network and of a step on the longest recordings."""
    training = config.training
    rows = min(training.micro_batch or training.batch_size, training.batch_size)
    with torch.device("meta"):
        network = AcousticModel(config.network, config.mel.bands)
        set_padding_masked(network, True)  # packing needs values
        durations = torch.ones(rows, _STEPS)

        def forward() -> Tensor:
            encoded = network.convolutions(network.embedding(durations.long()), durations[:, :, None])
            features = torch.zeros(rows, _STEPS, network.encoder.out_features + 2)
            out, _ = network.decoder(network.before(features, durations[:, :, None]))
            return torch.cat([network.out(out), encoded], 2)

        step = activations(network, forward, device, reduce_with="training.micro_batch or training.batch_size")
    return [
        weights(network, training, reduce_with="network.width or network.hidden"),
        Need(step.what, step.size * max(phones, frames) / _STEPS, step.reduce_with),
    ]
