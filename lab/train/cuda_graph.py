"""CUDA graphs: operations that are queued once and then started together, without Python or launches in between."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

import torch

_log = logging.getLogger(__name__)

_WARM_UP = 2  # calls before the capture, which fill the caches of tables and make the libraries choose their kernels

T = TypeVar("T")


class GraphReplay(Generic[T]):
    """A function without arguments over storage that stays: captured as a CUDA graph at its third call, then replayed.

    The function must read and write the same storage in every call, queue the same operations and wait for nothing.
    Its result is the same object after every replay, with new values. Where the capture fails the function is called
    as it is from then on, and one line of the log says so.
    """

    def __init__(self, work: Callable[[], T], device: torch.device, what: str) -> None:
        """what: name of the work in the log."""
        self._work, self._device, self._what = work, device, what
        self._allowed = True
        self.forget()

    @property
    def captured(self) -> bool:
        """Whether the next call replays a graph."""
        return self._graph is not None

    def forget(self) -> None:
        """Capture anew, since the storage has changed."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: T | None = None
        self._calls = 0

    def __call__(self) -> T:
        if self._graph is None and self._allowed and self._calls >= _WARM_UP:
            self._capture()
        self._calls += 1
        if self._graph is None:
            return self._work()
        self._graph.replay()
        assert self._result is not None
        return self._result

    def _capture(self) -> None:
        """Queue the work into a graph; nothing is computed."""
        graph = torch.cuda.CUDAGraph()
        try:
            # Only this thread's calls must be allowed in a capture: others may train or evaluate meanwhile.
            with torch.cuda.graph(graph, stream=torch.cuda.Stream(self._device), capture_error_mode="thread_local"):
                result = self._work()
        except RuntimeError as error:
            self._allowed = False
            reason = str(error).partition("\n")[0]
            _log.warning("%s runs without a CUDA graph, which is slower: %s", self._what, reason)
            return
        self._graph, self._result = graph, result
