"""Export of a run's network: images as it sees them, or rows of a table as the file has them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.data.augment import Draws
from lab.errors import UserError
from lab.nets import export as exporting
from lab.supervised.network import Network
from lab.supervised.preprocessing import LARGEST, Preprocessing
from lab.supervised.transfer import Trained


class TableNetwork(nn.Module):
    """Raw inputs float64 [B, R] of a table -> logits float32 [B, classes], or numbers float64 [B] in their unit.

    The preprocessing is part of the network: blanks are imputed and values are standardized, in double precision.
    """

    means: Tensor
    deviations: Tensor
    indicators: Tensor
    unit: Tensor

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        means, deviations = preprocessing.scales
        self.register_buffer("means", torch.from_numpy(means))
        self.register_buffer("deviations", torch.from_numpy(deviations))
        self.register_buffer("indicators", torch.tensor(preprocessing.indicators, dtype=torch.int64))
        found = preprocessing.target_statistics
        self.is_number = found is not None
        unit = [0.0, 1.0] if found is None else [found.mean, found.deviation]
        self.register_buffer("unit", torch.tensor(unit, dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        blank = rows.isnan()
        values = (torch.where(blank, self.means, rows) - self.means) / self.deviations
        values = values.clamp(-LARGEST, LARGEST)
        if len(self.indicators):
            values = torch.cat([values, blank[:, self.indicators].double()], 1)
        outputs = self.network(values.float())
        return outputs.double() * self.unit[1] + self.unit[0] if self.is_number else outputs


def export_network(trained: Trained, out: Path) -> float:
    """Write a run's network as .onnx or .pt2; return the largest difference of its outputs. Raises UserError."""
    task, preprocessing = trained.config.task, trained.preprocessing
    if task.needs_sound:
        raise UserError(f"task.name={task.name} cannot be exported: its network transforms complex spectra")
    metadata: dict[str, Any] = {"task": task.name}
    if trained.classes:
        metadata["classes"] = list(trained.classes)
    if preprocessing is None:
        inputs, others = (Draws(0, torch.arange(*span), 0).noise(torch.Size(trained.shape)) for span in ((2,), (2, 7)))
        metadata["range"] = [-1, 1]
        return exporting.export(
            trained.network, {"images": inputs}, {"images": others}, out, outputs=(task.output_name,), metadata=metadata
        )
    metadata |= {
        "inputs": preprocessing.raw_names,
        "columns": preprocessing.to_json()["columns"],
        "target": preprocessing.target,
    }
    tolerance = None  # of numbers: their mean may be much larger than their deviation
    if preprocessing.target_statistics is not None:
        tolerance = 10.0 * exporting.TOLERANCE * preprocessing.target_statistics.deviation
    inputs, others = (_example_rows(preprocessing, np.arange(*span)) for span in ((2,), (2, 9)))
    return exporting.export(
        TableNetwork(trained.network, preprocessing).eval(),
        {"rows": inputs},
        {"rows": others},
        out,
        outputs=(task.output_name,),
        metadata=metadata,
        tolerance=tolerance,
    )


def _example_rows(preprocessing: Preprocessing, numbers: np.ndarray) -> Tensor:
    """Raw rows float64 [N, R] for the check: numbers about their means, blanks, known and unknown categories."""
    means, deviations = preprocessing.scales
    drawn = Draws(0, torch.from_numpy(numbers), 0).noise(torch.Size((len(means),))).double().numpy()
    parts, at = [], 0
    for fitted in preprocessing.columns:
        width = len(fitted.raw_names)
        if fitted.column.kind == "category":
            parts.append((numbers[:, None] % (width + 1) == np.arange(width)).astype(np.float64))
        else:
            values = means[at] + deviations[at] * drawn[:, at]
            parts.append(np.where(numbers % 4 == 3, np.nan, values)[:, None])
        at += width
    return torch.from_numpy(np.concatenate(parts, 1))
