"""The start of a worker's process."""

import os
from collections.abc import Mapping
from typing import Any

from lab.config.loading import from_settings
from lab.train import device as devices
from lab.train.device import Device


def set_up(settings: Mapping[str, Any], threads: int, on_gpu: bool) -> tuple[Any, Device]:
    """Configuration and device of this process. Ray shows all GPUs to an actor that reserves none."""
    if not on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    config = from_settings(settings, "the run's configuration")
    device = devices.resolve("cuda" if on_gpu else "cpu", config.precision, threads)
    devices.apply(device)
    return config, device
