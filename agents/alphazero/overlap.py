"""Self-play while the learner trains: a poll of the actors in a thread, on a CUDA stream of its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import torch

T = TypeVar("T")


class Background:
    """One thread that works beside the caller between well-defined points.

    On a GPU the work is queued on a second stream. It begins after what the caller has queued so far, and the caller's
    later operations come after it, so that weights are copied while nobody plays with them.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="self-play")

    @contextmanager
    def running(self, work: Callable[[], T]) -> Iterator["Future[T]"]:
        """Run `work` during the block; after the block it has ended, also where the block raised."""
        stream = self._stream
        if stream is not None:
            stream.wait_stream(torch.cuda.current_stream(self._device))

        def on_stream() -> T:
            with torch.cuda.stream(stream) if stream is not None else nullcontext():
                return work()

        future = self._executor.submit(on_stream)
        try:
            yield future
        finally:
            future.exception()  # waits
            if stream is not None:
                torch.cuda.current_stream(self._device).wait_stream(stream)

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown()
