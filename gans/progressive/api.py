"""What `lab.api.Run` offers for a progressive GAN."""

from pathlib import Path

import numpy as np

from gans.progressive.sampler import load_sampler
from gans.progressive.sampling import labels_of
from gans.progressive.sampling import sample as sample_images
from lab.train.device import Device


def sample(
    run: Path, device: Device, *, count: int, seed: int = 0, label: str | int | None = None, checkpoint: str = "latest"
) -> np.ndarray:
    """Images uint8 [N, H, W, C] of the averaged generator; `label` names the class of a conditional run.

    A number is the name of a class too, as for handwritten digits.
    """
    sampler = load_sampler(run, device, checkpoint)
    number = sampler.class_number(None if label is None else str(label), "label")
    labels = labels_of(sampler, range(count), seed, number)
    return sample_images(sampler, range(count), seed, labels).permute(0, 2, 3, 1).numpy()
