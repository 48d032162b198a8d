"""A run's metrics as Ray's own: gauges at the metrics port of the node its loop runs on, where Prometheus finds them.

What is set is what is written to metrics.jsonl, under the names of the catalogue, so there is nothing else to look up.
"""

import logging
import re
from typing import Any

from cluster.connect import import_ray
from lab.metrics import LOOP_METRICS, Catalogue, Entry

PREFIX = "rivals_"
_TAG = "run"
_log = logging.getLogger(__name__)


def gauge_name(name: str) -> str:
    """The gauge of a metric or counter: that of "cluster/lag" is rivals_cluster_lag, before which Ray puts "ray_"."""
    return PREFIX + re.sub(r"\W", "_", name)


class Meters:
    """A sink of a run's metrics (`lab.metrics.Sink`) in a process that is connected to Ray.

    One gauge for each metric and each counter, and one for the iteration, tagged with the run. They last as long as
    the process.
    """

    def __init__(self, catalogue: Catalogue, run: str) -> None:
        self._catalogue, self._tags = LOOP_METRICS | catalogue, {_TAG: run}
        import_ray()
        from ray.util.metrics import Gauge

        self._make, self._gauges = Gauge, dict[str, Any]()
        self._broken = False

    def __call__(self, entry: Entry) -> None:
        if self._broken:
            return
        try:
            for name, value in {"iteration": entry.iteration, **entry.counters, **entry.metrics}.items():
                self._gauge(name).set(float(value), self._tags)
        except Exception as error:  # what is shown must not end what is measured
            self._broken = True
            _log.warning("Ray's metrics are off from here, training goes on (%s)", error)

    def _gauge(self, name: str) -> Any:
        if name not in self._gauges:
            self._gauges[name] = self._make(gauge_name(name), self._meaning(name), (_TAG,))
        return self._gauges[name]

    def _meaning(self, name: str) -> str:
        metric = self._catalogue.get(name)
        if metric is None:
            return f"{name} so far"
        return f"{metric.meaning} [{metric.unit}]" if metric.unit else metric.meaning
