"""Sequence experiments small enough to train in a blink."""

from pathlib import Path
from typing import Any

from lab.config.loading import dump
from lab.config.presets import merge
from lab.sequences.config import SequencesConfig


def config(**changes: Any) -> SequencesConfig:
    """Reversing up to 3 letters with 8 hidden units, for 4 iterations of 64 examples; checkpoints every 2."""
    settings: dict[str, Any] = {
        "kind": "sequences",
        "budget": 256,
        "threads": 1,
        "data": {"task": "reverse", "size": 3},
        "network": {"shape": "encoder_decoder", "hidden": 8},
        "training": {"batch_size": 16, "examples_per_iteration": 64},
        "checkpoint": {"every": 2, "keep": 3},
        "evaluate": {"every": 0},
        "tracking": {"wandb": "off"},
    }
    if changes.get("network", {}).get("shape") == "language_model" or "source" in changes.get("data", {}):
        del settings["data"]
    return SequencesConfig.model_validate(merge(settings, changes))


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "sequences.yaml"
    path.write_text(dump(config(**changes)))
    return path
