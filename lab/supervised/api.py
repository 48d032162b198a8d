"""Functions of `lab.api.Run` for a supervised run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lab.data.csv_file import CsvFile
from lab.errors import UserError
from lab.supervised.inference import BATCH
from lab.supervised.predict import network_outputs, predictions, table_rows
from lab.supervised.transfer import Trained, load_trained
from lab.train.device import Device


def predict(
    run: Path, device: Device, inputs: np.ndarray | str | Path, *, checkpoint: str = "best"
) -> list[dict[str, Any]]:
    """One record per image or row.

    Classification and detection: "class", "probability" and all "probabilities"; regression: "value"; anomalies:
    "score"; other tasks: "output", an array [C, R, R] or samples [T] in [-1, 1], and the mean squared "error" of a
    reconstruction. Recordings are given by their path.
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
            image = {"output": output.numpy()} if task.writes_images or task.needs_sound else {}
            records.append({"input": name} | image | record)
    return records


def _array_predictions(trained: Trained, array: np.ndarray) -> Iterator[tuple[list[str], Tensor, Tensor]]:
    """Names, network inputs and outputs for an array, in batches like `predictions`."""
    if len(trained.shape) == 3:
        array = array[..., None] if array.ndim == 3 else array
        if array.dtype != np.uint8 or array.ndim != 4:
            raise UserError(f"images are uint8 [N, H, W] or [N, H, W, C], not {array.dtype} {list(array.shape)}")
        array = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
        if array.shape[1:] != trained.shape:
            raise UserError(f"this run takes inputs of shape {list(trained.shape)}, not {list(array.shape[1:])}")
        batches: Iterator[tuple[list[str], np.ndarray]] = (
            ([str(i) for i in range(start, min(start + BATCH, len(array)))], array[start : start + BATCH])
            for start in range(0, len(array), BATCH)
        )
    else:
        batches = table_rows(trained, _as_file(trained, array))
    for names, rows in batches:
        yield names, *network_outputs(trained, rows)


def _as_file(trained: Trained, array: np.ndarray) -> CsvFile:
    """An array [N, C] of numbers or objects, in the order of the run's columns, as a file; None and NaN are blank."""
    assert trained.preprocessing is not None
    columns = [column.name for column in trained.preprocessing.schema]
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise UserError(f"this run takes rows [N, {len(columns)}] ({', '.join(columns)}), not {list(array.shape)}")
    rows = [["" if cell is None or cell != cell else str(cell) for cell in row] for row in array.tolist()]
    return CsvFile("the array", columns, rows, list(range(len(rows))))
