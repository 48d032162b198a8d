"""Metrics of a run as Ray gauges: Prometheus scrapes them at the metrics port of the node that runs the loop.

The gauges have the names and values of metrics.jsonl.
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
_REFRESH_S = 2.0  # Ray drops a gauge that is not set within two of its reports, which are 10 s apart
_log = logging.getLogger(__name__)


def gauge_name(name: str) -> str:
    """The gauge of a metric or counter: "replay/window" is rivals_replay_window, and Ray adds the prefix "ray_"."""
    return PREFIX + re.sub(r"\W", "_", name)


class RayMetricsSink:
    """A sink of a run's metrics (`lab.run.metrics.Sink`) in a process that is connected to Ray.

    There is one gauge per metric and counter and one for the iteration, tagged with the run. A gauge keeps its last
    finite value while this context is entered. If Ray fails to set a gauge, one warning is logged and the export ends.
    """

    def __init__(self, catalogue: Catalogue, run: str) -> None:
        self._catalogue, self._tags = LOOP_METRICS | catalogue, {_TAG: run}
        import_ray()
        from ray.util.metrics import Gauge

        self._make, self._gauges = Gauge, dict[str, Any]()
        self._values: dict[str, float] = {}
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="ray metrics", daemon=True)

    def __call__(self, entry: Entry) -> None:
        if self._closed.is_set():
            return
        with self._lock:
            self._values |= {"iteration": float(entry.iteration), **entry.counters, **entry.metrics}
        self._set_gauges()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    def _refresh(self) -> None:
        while not self._closed.wait(_REFRESH_S):
            self._set_gauges()

    def _set_gauges(self) -> None:
        try:
            with self._lock:
                for name, value in self._values.items():
                    if math.isfinite(value):
                        self._gauge(name).set(float(value), self._tags)
        except Exception as error:  # an error of the export must not end the run
            self._closed.set()
            _log.warning("the export of metrics to Ray has failed, training continues (%s)", error)

    def _gauge(self, name: str) -> Any:
        if name not in self._gauges:
            self._gauges[name] = self._make(gauge_name(name), self._description(name), (_TAG,))
        return self._gauges[name]

    def _description(self, name: str) -> str:
        metric = self._catalogue.get(name)
        if metric is None:
            return f"counter {name}"
        return f"{metric.meaning} [{metric.unit}]" if metric.unit else metric.meaning
