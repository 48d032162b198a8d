"""A vocoder small enough to train in a blink."""

from pathlib import Path
from typing import Any

import torch

from gans.vocoder.config import VocoderConfig
from lab.config.loading import dump
from lab.config.presets import merge
from lab.train.device import Device

DEVICE = Device(torch.device("cpu"), "fp32", 1)


def config(**changes: Any) -> VocoderConfig:
    """Six glides at 4 kHz in 4 iterations of 2 steps of 4 windows; a checkpoint after each."""
    settings: dict[str, Any] = {
        "kind": "vocoder",
        "budget": 32,
        "threads": 1,
        "data": {"frames": 8, "held_out": 0.3, "synthetic": {"recordings": 6, "seconds": 0.3}},
        "mel": {"rate": 4000, "fft": 128, "hop": 32, "bands": 12, "high": 2000.0},
        "network": {"width": 12, "blocks": 2, "discriminator_channels": [4, 6], "resolutions": [64, 128]},
        "loss": {"name": "non-saturating", "lazy": 2},
        "training": {"batch_size": 4, "windows_per_iteration": 8},
        "checkpoint": {"every": 1, "keep": 3},
        "evaluate": {"every": 0, "recordings": 2, "griffin_lim_iterations": 4},
        "tracking": {"wandb": "off"},
    }
    return VocoderConfig.model_validate(merge(settings, changes))


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "vocoder.yaml"
    path.write_text(dump(config(**changes)))
    return path
