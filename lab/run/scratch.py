"""An experiment outside the runs directory, for measurements that keep nothing."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.config.registry import find_kind, load
from lab.config.sections import ExperimentConfig
from lab.train import device as devices
from lab.train import random_state
from lab.train.device import Device


@contextmanager
def scratch_experiment(config: ExperimentConfig) -> Iterator[tuple[Any, Device]]:
    """The configured experiment before its first iteration, in a temporary directory, and its device."""
    device = devices.apply(devices.resolve(config.device, config.precision, config.threads))
    random_state.seed_everything(config.seed)
    with tempfile.TemporaryDirectory() as folder:
        yield load(find_kind(config.kind).build)(config, Path(folder) / "run", device), device
