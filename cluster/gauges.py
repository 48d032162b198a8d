"""A run's metrics as Ray's own: gauges at the metrics port of the node its loop runs on, where Prometheus finds them.

What is set is what is written to metrics.jsonl, under the names of the catalogue, so there is nothing else to look up.
"""

import logging
import math
import re
import threading
from types import TracebackType
from typing import Any, Self

from cluster.pool.connection import import_ray
from lab.run.metrics import LOOP_METRICS, Catalogue, Entry

PREFIX = "rivals_"
_TAG = "run"
_REFRESH_S = 2.0  # Ray drops a gauge that is not set again within two of its reports, which are 10 s apart
_log = logging.getLogger(__name__)


def gauge_name(name: str) -> str:
    """The gauge of a metric or counter: that of "cluster/lag" is rivals_cluster_lag, before which Ray puts "ray_"."""
    return PREFIX + re.sub(r"\W", "_", name)


class Meters:
    """A sink of a run's metrics (`lab.run.metrics.Sink`) in a process that is connected to Ray.

    One gauge for each metric and each counter, and one for the iteration, tagged with the run. Each keeps its newest
    value, however long an iteration takes, and is gone when it became NaN and soon after this context is left. When
    Ray fails to take one, that is said once and nothing is shown any more.
    """

    def __init__(self, catalogue: Catalogue, run: str) -> None:
        self._catalogue, self._tags = LOOP_METRICS | catalogue, {_TAG: run}
        import_ray()
        from ray.util.metrics import Gauge

        self._make, self._gauges = Gauge, dict[str, Any]()
        self._values: dict[str, float] = {}
        self._lock, self._left = threading.Lock(), threading.Event()
        self._refreshing = threading.Thread(target=self._refresh, name="meters", daemon=True)

    def __call__(self, entry: Entry) -> None:
        if self._left.is_set():
            return
        with self._lock:
            self._values |= {"iteration": float(entry.iteration), **entry.counters, **entry.metrics}
        self._set()

    def __enter__(self) -> Self:
        self._refreshing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left.set()
        self._refreshing.join()

    def _refresh(self) -> None:
        while not self._left.wait(_REFRESH_S):
            self._set()

    def _set(self) -> None:
        try:
            with self._lock:
                for name, value in self._values.items():
                    if math.isfinite(value):
                        self._gauge(name).set(float(value), self._tags)
        except Exception as error:  # what is shown must not end what is measured
            self._left.set()
            _log.warning("the run's metrics are no longer shown on the cluster, training goes on (%s)", error)

    def _gauge(self, name: str) -> Any:
        if name not in self._gauges:
            self._gauges[name] = self._make(gauge_name(name), self._meaning(name), (_TAG,))
        return self._gauges[name]

    def _meaning(self, name: str) -> str:
        metric = self._catalogue.get(name)
        if metric is None:
            return f"{name} so far"
        return f"{metric.meaning} [{metric.unit}]" if metric.unit else metric.meaning
