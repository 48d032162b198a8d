"""The metrics of supervised runs."""

from lab.run.metrics import Catalogue, Metric
from lab.supervised.tasks.table import TASKS
from lab.supervised.tasks.task import Task

_COMMON = (
    Metric("train/gradient_norm", "", "norm of the gradient before clipping, mean over the steps", "train"),
    Metric("train/learning_rate", "", "learning rate of the last step", "train"),
    Metric("train/samples_per_s", "1/s", "training samples per second", "train", True),
)
CATALOGUE = Catalogue([*_COMMON, *(metric for task in TASKS for metric in task.metrics)])
"""The metrics of all tasks."""


def catalogue_of(task: Task) -> Catalogue:
    """The metrics of one task, of which the status line shows the first."""
    return Catalogue([*_COMMON, *task.metrics])
