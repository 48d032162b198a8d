"""What `lab.api.Run` offers for a progressive GAN."""

from pathlib import Path

import numpy as np

from gans.progressive.sampler import load_sampler
from gans.progressive.sampling import sample as sample_images
from lab.train.device import Device


def sample(
    run: Path, device: Device, *, count: int, seed: int = 0, label: int | None = None, checkpoint: str = "latest"
) -> np.ndarray:
    """Images uint8 [N, H, W, C] of the averaged generator; `label` chooses the class of a conditional run."""
    sampler = load_sampler(run, device, checkpoint)
    sampler.check_label(label, "label")
    return sample_images(sampler, range(count), seed, label).permute(0, 2, 3, 1).numpy()
