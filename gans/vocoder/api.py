"""What the command line and `lab.api.Run` get from a vocoder run."""

from pathlib import Path

from gans.vocoder.vocoder import Vocoder
from lab.train.device import Device


def vocoder(run: Path, device: Device, checkpoint: str = "latest") -> Vocoder:
    """A callable of log-mel float32 [N, bands, frames] to waves [N, T]; its `mel` is the spectrogram it expects."""
    return Vocoder.load(run, device, checkpoint)
