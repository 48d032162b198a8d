"""The metrics of supervised runs."""

from lab.run.metrics import Catalogue, Metric
from lab.supervised.tasks.table import TASKS

CATALOGUE = Catalogue(
    [
        Metric("train/gradient_norm", "", "norm of the gradient before clipping, mean over the steps", "train"),
        Metric("train/learning_rate", "", "learning rate of the last step", "train"),
        Metric("train/samples_per_s", "1/s", "training samples per second", "train", True),
        *(metric for task in TASKS for metric in task.metrics),
    ]
)
