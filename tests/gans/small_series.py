"""A series GAN small enough to train in a blink."""

from pathlib import Path
from typing import Any

import torch

from gans.series.config import SeriesGANConfig
from lab.config.loading import dump
from lab.config.presets import merge
from lab.train.device import Device

DEVICE = Device(torch.device("cpu"), "fp32", 1)


def config(**changes: Any) -> SeriesGANConfig:
    """Two sines of 8 steps in 8 iterations of 4 steps of 8 series; checkpoints every 2."""
    settings: dict[str, Any] = {
        "kind": "series_gan",
        "budget": 256,
        "threads": 1,
        "data": {"length": 8, "synthetic": {"series": 200, "channels": 2}},
        "network": {"hidden": 6, "latent": 2, "series_latent": 3, "discriminator_hidden": 6},
        "training": {"batch_size": 8, "series_per_iteration": 32},
        "checkpoint": {"every": 2, "keep": 3},
        "evaluate": {
            "every": 0,
            "samples": 40,
            "score_steps": 5,
            "score_hidden": 4,
            "score_batch_size": 16,
            "plot": 2,
        },
        "tracking": {"wandb": "off"},
    }
    return SeriesGANConfig.model_validate(merge(settings, changes))


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "series.yaml"
    path.write_text(dump(config(**changes)))
    return path


def table(path: Path, rows: int, header: str = "a,b", extra: str = "") -> Path:
    """A CSV file of two channels that nothing is wrong with; `extra` is appended to each row."""
    lines = [f"{0.5 * (i % 7)},{10 + (i * i) % 11}{extra}" for i in range(rows)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path
