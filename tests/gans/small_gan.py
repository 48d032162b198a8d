"""A progressive GAN on the digits, small enough to train in a blink."""

from pathlib import Path
from typing import Any

import torch

from gans.progressive.config import ProgressiveGANConfig
from lab.config.loading import dump
from lab.config.presets import merge
from lab.train.device import Device

DEVICE = Device(torch.device("cpu"), "fp32", 1)


def config(**changes: Any) -> ProgressiveGANConfig:
    """4 to 16 pixels in 13 iterations of 32 images; fades in iterations 4-6 and 10-12, checkpoints every 2."""
    settings: dict[str, Any] = {
        "kind": "progressive_gan",
        "budget": 416,
        "threads": 1,
        "network": {"resolution": 16, "channels": 1, "fmap_base": 64, "fmap_max": 8, "latent": 8},
        "growth": {"fade_images": 96, "stable_images": 96},
        "training": {"batch_size": 8, "images_per_iteration": 32},
        "checkpoint": {"every": 2, "keep": 3},
        "evaluate": {"every": 0, "grid": 2},
        "tracking": {"wandb": "off"},
    }
    return ProgressiveGANConfig.model_validate(merge(settings, changes))


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "small.yaml"
    path.write_text(dump(config(**changes)))
    return path
