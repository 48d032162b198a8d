"""Processes that map a function over names: results in order, bounded memory, and no process outlives the parent."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from lab.child_processes import ctrl_c_blocked, leave_ctrl_c_to_the_parent
from lab.errors import UserError

T = TypeVar("T")


class Decoders:
    """Maps in `workers` processes, or in the calling process if `workers` is 1. A context manager."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Decoders":
        if self._workers > 1:
            # spawn: a fork of a process with threads can hang.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, context, _prepare)
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[str], T], names: Sequence[str], chunk: int) -> Iterator[T]:
        """`function(name)` for each name, in order; a process gets `chunk` names at once.

        Raises UserError when a process dies.
        """
        if self._pool is None:
            try:
                yield from map(function, names)
            except MemoryError:
                raise UserError("an image needs more memory to decode than there is: make it smaller") from None
            return
        # The number of decoded images in memory is bounded, even if the disk is slow.
        waiting: deque[Future[list[T]]] = deque()
        try:
            for start in range(0, len(names), chunk):
                waiting.append(_submit(self._pool, function, names[start : start + chunk]))
                if len(waiting) > 3 * self._workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError("a decoding process was killed, likely for memory: use fewer --workers") from None
        except MemoryError:
            raise UserError("images need more memory to decode than there is: use fewer --workers") from None


def _submit(pool: ProcessPoolExecutor, function: Callable[[str], T], names: Sequence[str]) -> Future[list[T]]:
    with ctrl_c_blocked():  # the pool starts its processes as work arrives
        return pool.submit(_each, function, names)


def _each(function: Callable[[str], T], names: Sequence[str]) -> list[T]:
    return [function(name) for name in names]


def _prepare() -> None:
    leave_ctrl_c_to_the_parent()
    _end_with_parent()


def _end_with_parent() -> None:
    """End this process with its parent: processes of a pool would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
