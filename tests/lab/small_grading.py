"""Grading experiments small enough to train in a blink."""

from pathlib import Path
from typing import Any

from lab.config.loading import dump
from lab.config.presets import merge
from lab.grading.config import GradingConfig
from lab.grading.grammar import generate


def config(**changes: Any) -> GradingConfig:
    """60 generated essays and 8 hidden units, for 4 iterations of 32 examples; checkpoints every 2."""
    settings: dict[str, Any] = {
        "kind": "grading",
        "budget": 128,
        "threads": 1,
        "data": {"size": 60},
        "network": {"ngram_bits": 8, "vocabulary": 100, "endings": 20, "embedding": 8, "hidden": 8},
        "training": {"batch_size": 16, "examples_per_iteration": 32},
        "checkpoint": {"every": 2, "keep": 3},
        "evaluate": {"every": 0},
        "tracking": {"wandb": "off"},
    }
    if "source" in changes.get("data", {}):
        del settings["data"]
    return GradingConfig.model_validate(merge(settings, changes))


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "grading.yaml"
    path.write_text(dump(config(**changes)))
    return path


def essay_file(folder: Path, count: int = 60) -> Path:
    """Generated essays as a CSV file."""
    made = generate(count, 0)
    lines = [
        f'"{text}",{prompt},' + ",".join(f"{score:g}" for score in scores)
        for text, prompt, scores in zip(made.texts, made.prompts, made.scores, strict=True)
    ]
    path = folder / "essays.csv"
    path.write_text("\n".join([f"text,prompt,{','.join(made.names)}", *lines]) + "\n")
    return path
