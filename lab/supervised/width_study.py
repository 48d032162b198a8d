"""Universal approximation: the error of one hidden layer as a function of its width (Cybenko 1989; Hornik 1991)."""

from typing import NamedTuple

import numpy as np

from lab.plots.figures import Curve
from lab.run.scratch import scratch_experiment
from lab.supervised.config import SupervisedConfig
from lab.supervised.experiment import Supervised
from lab.supervised.inference import predict_set


class WidthResult(NamedTuple):
    """RMSE on the test set in the target's unit; for functions of one variable also the curves `target` and `fit`."""

    width: int
    rmse: float
    fit: Curve | None
    target: Curve | None


def train_at_width(config: SupervisedConfig, width: int) -> WidthResult:
    """Train a regression MLP with one hidden layer of this width for the configured budget, without a run."""
    network = config.network.model_copy(update={"hidden": (width,)})
    with scratch_experiment(config.model_copy(update={"network": network})) as (experiment, _):
        while experiment.counters[experiment.progress] < config.budget:
            experiment.iterate()
        rmse = experiment.evaluate().metrics["eval/rmse"]
        return WidthResult(width, rmse, *_curves(experiment, width))


def _curves(experiment: Supervised, width: int) -> tuple[Curve | None, Curve | None]:
    test, rows = experiment.test, experiment.test.table
    if rows.inputs.shape[1] != 1 or rows.schema[0].kind != "number" or np.isnan(rows.inputs).any():
        return None, None
    order = np.argsort(rows.inputs[:, 0])
    x = rows.inputs[order, 0].tolist()
    assert rows.preprocessing is not None and rows.numbers is not None
    found = rows.preprocessing.in_units(predict_set(experiment.network, test, experiment.device).numpy())
    return Curve(str(width), x, found[order].tolist()), Curve("target", x, rows.numbers[order].tolist())
