"""What `lab.api.Run` offers for a time-series GAN."""

from pathlib import Path

import numpy as np

from gans.series.sampler import load_sampler
from lab.train.device import Device


def sample(
    run: Path, device: Device, *, count: int, seed: int = 0, label: str | int | None = None, checkpoint: str = "latest"
) -> np.ndarray:
    """Series float64 [N, T, C] in the units of the data; `label` names the class of a conditional run."""
    sampler = load_sampler(run, device, checkpoint)
    number = sampler.class_number(None if label is None else str(label), "label")
    labels = sampler.labels(range(count), seed, number)
    return sampler.summary.scale.restore(sampler.sample(range(count), seed, labels))
