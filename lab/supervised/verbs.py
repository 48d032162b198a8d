"""`lab eval` of a supervised run."""

from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console

from lab import device as devices
from lab.config import load_run_config
from lab.supervised.config import SupervisedConfig
from lab.supervised.experiment import split
from lab.supervised.features import load_features
from lab.verbs import RUNS_DIR, Json, Run, RunsDir, find_run, print_json

_BATCH = 256


def evaluate(
    run: Run,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best, latest or an iteration.")] = "best",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Accuracy on the pictures that were held out, in all and by class."""
    path, place = find_run(run, runs_dir), devices.resolve(device)
    devices.apply(place)
    features = load_features(path, place, checkpoint)
    config = load_run_config(path / "config.yaml")
    assert isinstance(config, SupervisedConfig)
    test = split(config.data, config.seed)[1]
    assert test.labels is not None
    labels, starts = torch.from_numpy(test.labels), range(0, len(test), _BATCH)
    pieces = (torch.from_numpy(np.array(test.images[start : start + _BATCH])) for start in starts)
    right = torch.cat([features.classify(features(images)).cpu() for images in pieces]) == labels
    by_class = {
        name: float(right[labels == k].float().mean()) for k, name in enumerate(test.classes) if (labels == k).any()
    }
    if as_json:
        print_json({"run": run, "pictures": len(test), "accuracy": float(right.float().mean()), "by_class": by_class})
        return
    console = Console(highlight=False)
    console.print(f"{run}: {float(right.float().mean()):.2%} of {len(test):,} pictures")
    console.print(", ".join(f"{name} {share:.1%}" for name, share in by_class.items()))
