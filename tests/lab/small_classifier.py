"""A classifier of the digits, small enough to train in a blink."""

from pathlib import Path
from typing import Any

from lab.config.loading import dump
from lab.config.presets import merge
from lab.supervised.config import SupervisedConfig


def config(**changes: Any) -> SupervisedConfig:
    """12 features, trained for 4 iterations of 500 pictures; checkpoints every 2."""
    settings: dict[str, Any] = {
        "kind": "supervised",
        "budget": 2000,
        "threads": 1,
        "network": {"channels": [4, 8], "features": 12},
        "training": {"batch_size": 50, "images_per_iteration": 500, "decay_images": 2000},
        "checkpoint": {"every": 2, "keep": 3},
        "evaluate": {"every": 0},
        "tracking": {"wandb": "off"},
    }
    return SupervisedConfig.model_validate(merge(settings, changes))


def other(**sections: Any) -> SupervisedConfig:
    """The same with whole sections replaced, for other networks and tasks."""
    settings = config().model_dump(mode="json", exclude={"network", "task", "augment"})
    training = settings["training"] | sections.pop("training", {})
    return SupervisedConfig.model_validate(settings | {"training": training} | sections)


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    return written(folder, config(**changes))


def written(folder: Path, settings: SupervisedConfig) -> Path:
    """As a preset file."""
    path = folder / "classifier.yaml"
    path.write_text(dump(settings))
    return path
