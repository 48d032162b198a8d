"""Functions of `lab.api.Run` for a supervised run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.errors import UserError
from lab.supervised.inference import BATCH, as_inputs, predict_batch
from lab.supervised.predict import predictions
from lab.supervised.transfer import Trained, load_trained
from lab.train.device import Device


def predict(
    run: Path, device: Device, inputs: np.ndarray | str | Path, *, checkpoint: str = "best"
) -> list[dict[str, Any]]:
    """One record per image or row.

    Classification: "class", "probability" and all "probabilities"; regression: "value"; other tasks: "output", an
    array [C, R, R] in [-1, 1], and the mean squared "error" of a reconstruction.
    """
    trained = load_trained(run, device, checkpoint)
    if isinstance(inputs, str | Path):
        batches: Iterator[tuple[list[str], Tensor, Tensor]] = predictions(trained, Path(inputs))
    else:
        batches = _array_predictions(trained, np.asarray(inputs))
    task = trained.config.task
    records: list[dict[str, Any]] = []
    for names, given, outputs in batches:
        for name, output, record in zip(names, outputs, task.predictions(given, outputs, trained.classes), strict=True):
            image = {"output": output.numpy()} if task.writes_images else {}
            records.append({"input": name} | image | record)
    return records


def _array_predictions(trained: Trained, array: np.ndarray) -> Iterator[tuple[list[str], Tensor, Tensor]]:
    """Names, network inputs and outputs for an array, in batches like `predictions`."""
    if len(trained.shape) == 3:
        array = array[..., None] if array.ndim == 3 else array
        if array.dtype != np.uint8 or array.ndim != 4:
            raise UserError(f"images are uint8 [N, H, W] or [N, H, W, C], not {array.dtype} {list(array.shape)}")
        array = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    else:
        array = array.astype(np.float32)
    if array.shape[1:] != trained.shape:
        raise UserError(f"this run takes inputs of shape {list(trained.shape)}, not {list(array.shape[1:])}")
    mirror = trained.config.task.averages_mirror_images
    for start in range(0, len(array), BATCH):
        part = array[start : start + BATCH]
        rows = as_inputs(torch.from_numpy(part).to(trained.device.device))
        with torch.no_grad():
            found = predict_batch(trained.network, rows, mirror=mirror).cpu()
        yield [str(start + i) for i in range(len(part))], rows.cpu(), found
