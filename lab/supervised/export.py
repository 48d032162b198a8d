"""Export of a run's network: images as it sees them, or rows of a table as the file has them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.data.augment import Draws
from lab.nets import export as exporting
from lab.supervised.network import Network
from lab.supervised.transfer import Trained
from lab.supervised.treatment import LARGEST, Treatment


class TableNetwork(nn.Module):
    """Raw rows float64 [B, R] of a treatment -> logits float32 [B, classes], or numbers float64 [B] in their unit.

    The treatment is part of the network: blanks are imputed and values are standardized, in double precision.
    """

    means: Tensor
    deviations: Tensor
    indicators: Tensor
    unit: Tensor

    def __init__(self, network: Network, treatment: Treatment) -> None:
        super().__init__()
        self.network = network
        means, deviations = treatment.scales
        self.register_buffer("means", torch.from_numpy(means))
        self.register_buffer("deviations", torch.from_numpy(deviations))
        self.register_buffer("indicators", torch.tensor(treatment.indicators, dtype=torch.int64))
        found = treatment.target_statistics
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
    task, treatment = trained.config.task, trained.treatment
    output = "logits" if task.targets == "classes" and not task.writes_images else "output"
    metadata: dict[str, Any] = {"task": task.name}
    if trained.classes:
        metadata["classes"] = list(trained.classes)
    if treatment is None:
        inputs, others = (Draws(0, torch.arange(*span), 0).noise(torch.Size(trained.shape)) for span in ((2,), (2, 7)))
        metadata["range"] = [-1, 1]
        return exporting.export(
            trained.network, {"images": inputs}, {"images": others}, out, outputs=(output,), metadata=metadata
        )
    metadata |= {"inputs": treatment.raw_names, "columns": treatment.to_json()["columns"], "target": treatment.target}
    tolerance = None  # of numbers: their mean may be much larger than their deviation
    if treatment.target_statistics is not None:
        output, tolerance = "value", 10.0 * exporting.TOLERANCE * treatment.target_statistics.deviation
    inputs, others = (_example_rows(treatment, np.arange(*span)) for span in ((2,), (2, 9)))
    return exporting.export(
        TableNetwork(trained.network, treatment).eval(),
        {"rows": inputs},
        {"rows": others},
        out,
        outputs=(output,),
        metadata=metadata,
        tolerance=tolerance,
    )


def _example_rows(treatment: Treatment, numbers: np.ndarray) -> Tensor:
    """Raw rows float64 [N, R] for the check: numbers about their means, blanks, known and unknown categories."""
    means, deviations = treatment.scales
    drawn = Draws(0, torch.from_numpy(numbers), 0).noise(torch.Size((len(means),))).double().numpy()
    parts, at = [], 0
    for fitted in treatment.columns:
        width = len(fitted.raw_names)
        if fitted.column.kind == "category":
            parts.append((numbers[:, None] % (width + 1) == np.arange(width)).astype(np.float64))
        else:
            values = means[at] + deviations[at] * drawn[:, at]
            parts.append(np.where(numbers % 4 == 3, np.nan, values)[:, None])
        at += width
    return torch.from_numpy(np.concatenate(parts, 1))
