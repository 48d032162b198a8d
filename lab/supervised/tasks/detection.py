"""Detection of a rare class: the test set is ranked by its probability, and a budget of reviews has a cost."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from lab.errors import UserError
from lab.plots.figures import Curve, Plot, plot
from lab.plots.media import Image
from lab.run.experiment import Evaluation
from lab.run.metrics import Metric
from lab.supervised.baselines.detection import scores_of_baselines
from lab.supervised.inference import predict_set
from lab.supervised.labelled_set import LabelledSet, class_index
from lab.supervised.network import Network
from lab.supervised.ranking import AUPRC, AUROC, auroc, average_precision, review
from lab.supervised.tasks.classification import Classification
from lab.train.device import Device


class Detection(Classification):
    """Find a rare class: cross-entropy, evaluated by precision and recall and by the cost at a budget of reviews."""

    metrics = (
        Classification.metrics[0],
        AUPRC,
        AUROC,
        Metric("eval/reviewed_recall", "fraction", "positives among the reviewed test rows", "eval", True),
        Metric("eval/cost", "", "cost per 1,000 test rows: positives not reviewed, and reviews", "eval", False),
        Classification.metrics[-1],
    )

    name: Literal["detection"] = Field(default="detection", description="Type of task.")  # type: ignore[assignment]
    positive: str = Field(default="", description="Class to detect; by default the rarest of the test set.")
    reviews: float = Field(
        default=0.01, gt=0.0, le=1.0, description="Budget: fraction of the rows that can be reviewed."
    )
    review_cost: NonNegativeFloat = Field(default=0.0, description="Cost of one review.")
    amount: str = Field(
        default="",
        description="Column with the cost of a positive that is not reviewed, by default 1 each; reviews then go to "
        "the largest expected costs.",
    )

    def evaluate(self, network: Network, test: LabelledSet, device: Device, seed: int) -> Evaluation:
        logits = predict_set(network, test, device)
        labels = torch.from_numpy(np.array(test.targets))
        positive = self._positive(test)
        scores = logits.double().softmax(1)[:, positive]
        loss = float(torch.nn.functional.cross_entropy(logits, labels))
        metrics = {**self._ranked(scores, test), "eval/loss": loss}
        return Evaluation(metrics, [_curve(scores, labels == positive)])

    def baselines(self, train: LabelledSet, test: LabelledSet, seed: int) -> dict[str, Mapping[str, float]]:
        found = scores_of_baselines(train, test, self._positive(test), seed)
        return {name: self._ranked(torch.from_numpy(scores), test) for name, scores in found.items()}

    def _ranked(self, scores: Tensor, test: LabelledSet) -> dict[str, float]:
        """Metrics of scores [N] of the test set."""
        positive = torch.from_numpy(np.array(test.targets)) == self._positive(test)
        found = review(
            scores, positive, fraction=self.reviews, amounts=self._amounts(test), review_cost=self.review_cost
        )
        return {
            "eval/auprc": average_precision(scores, positive),
            "eval/auroc": auroc(scores, positive),
            "eval/reviewed_recall": found.recall,
            "eval/cost": found.cost,
        }

    def _positive(self, test: LabelledSet) -> int:
        """Index of the class to detect. Raises UserError."""
        if self.positive:
            return class_index(self.positive, test.classes, "task.positive")
        present, counts = np.unique(test.targets, return_counts=True)
        return int(present[counts.argmin()])

    def _amounts(self, test: LabelledSet) -> Tensor | None:
        """Cost float64 [N] of each row if it is positive and not reviewed; blank and negative cells cost 0."""
        if not self.amount:
            return None
        if test.rows is None or self.amount not in test.columns:
            columns = ", ".join(test.columns[:20]) or "none"
            raise UserError(f"task.amount: {test.name} has no column {self.amount!r} (columns: {columns})")
        column = test.columns.index(self.amount)
        if test.table.schema[column].kind != "number":
            raise UserError(f"task.amount: the column {self.amount!r} of {test.name} is not a number")
        return torch.from_numpy(np.nan_to_num(test.table.inputs[:, column])).clamp_min(0.0)


def _curve(scores: Tensor, positive: Tensor) -> Image:
    found = positive[scores.argsort(descending=True, stable=True)].double()
    recall = found.cumsum(0) / found.sum().clamp_min(1.0)
    precision = found.cumsum(0) / torch.arange(1, len(found) + 1)
    # At the rows where recall rises: the others only lower the precision.
    at = found.nonzero()[:, 0]
    curve = Curve("network", recall[at].tolist(), precision[at].tolist())
    return Image("precision_recall", plot(Plot([curve], "precision and recall, test set", "recall", "precision")))
