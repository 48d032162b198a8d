"""A pool of actors: calls are queued per actor, results arrive one by one, a dead or hanging actor is replaced."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cluster.pool.connection import error_summary, import_ray
from lab.errors import ExperimentStopped

_log = logging.getLogger(__name__)
_MAX_FAILURES_PER_WORKER = 4  # mean number without a result in between; more failures are not chance
_WAIT_S = 1.0  # the time between two checks of the deadlines


@dataclass(frozen=True)
class Done:
    """The result of a call."""

    worker: int
    tag: Any
    value: Any


@dataclass(frozen=True)
class Lost:
    """Calls without a result: their actor died, failed or hung. The worker already has a new actor."""

    worker: int
    tags: list[Any]
    reason: str


@dataclass
class _Worker:
    """One worker of the pool, a sequence of actors: each lost actor is followed by a new one."""

    index: int
    actor: Any = None
    starting: Any = None  # reference to the result of `ready`; None once the actor is ready
    pid: int = 0  # process id of the actor, once it is ready
    calls: deque[tuple[Any, Any]] = field(default_factory=deque)  # references and tags, oldest first
    since: float = 0.0  # when the current call began

    @property
    def next_reference(self) -> Any:
        if self.starting is not None:
            return self.starting
        return self.calls[0][0] if self.calls else None


class WorkerPool:
    """`size` workers. `start_actor(index)` starts the actor of a worker; its method `ready` returns its process id.

    Ray neither restarts actors nor retries calls (max_restarts=0, max_task_retries=0): a restarted actor would have
    lost its games and keep the identity of its predecessor, and a retried call could be counted twice. Here a new actor
    is a new incarnation, which the learner registers before it plays.
    """

    def __init__(
        self,
        name: str,
        size: int,
        start_actor: Callable[[int], Any],
        *,
        place_timeout_s: float,
        hang_timeout_s: float,
    ) -> None:
        self._ray = import_ray()
        self._name, self._start_actor = name, start_actor
        self._place_timeout_s, self._hang_timeout_s = place_timeout_s, hang_timeout_s
        self.restarts = 0
        self._failures = 0
        self._workers = [_Worker(index) for index in range(size)]
        for worker in self._workers:
            self._start(worker)
        self._none_ready_since: float | None = None

    @property
    def ready(self) -> list[int]:
        """Workers whose actor has started."""
        return [worker.index for worker in self._workers if worker.starting is None]

    def pid(self, worker: int) -> int:
        """The process id, on its node, of a worker that is ready."""
        return self._workers[worker].pid

    def pending(self, worker: int) -> list[Any]:
        """Tags of a worker's calls without a result, oldest first."""
        return [tag for _, tag in self._workers[worker].calls]

    def call(self, worker: int, method: str, *arguments: Any, tag: Any = None) -> None:
        """Call a method of the worker's actor. Calls of one worker run one after another."""
        called = self._workers[worker]
        if not called.calls:
            called.since = time.monotonic()
        called.calls.append((getattr(called.actor, method).remote(*arguments), tag))

    def next(self, timeout_s: float | None = None) -> Done | Lost | None:
        """Wait for the next result or loss; None after `timeout_s` and when an actor became ready.

        Raises ExperimentStopped when no actor was ready for `place_timeout_s`, and when calls fail repeatedly.
        """
        end = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        while True:
            awaited = {found: worker for worker in self._workers if (found := worker.next_reference) is not None}
            if not awaited:
                return None
            left = max(0.0, min(_WAIT_S, end - time.monotonic()))
            finished, _ = self._ray.wait(list(awaited), num_returns=1, timeout=left)
            # Checked even if another worker has a result: the learner may need the result of the hanging one.
            overdue = {reference: worker for reference, worker in awaited.items() if self._is_overdue(worker)}
            if overdue:
                hanging = self._ray.wait(list(overdue), num_returns=len(overdue), timeout=0, fetch_local=False)[1]
                if hanging:
                    reason = f"no answer for {self._hang_timeout_s:g} s"
                    self._count_failure(reason)
                    return self._replace(overdue[hanging[0]], reason)
            if finished:
                return self._receive(awaited[finished[0]])
            self._check_any_ready()
            if time.monotonic() >= end:
                return None

    def close(self) -> None:
        """Kill every actor."""
        for worker in self._workers:
            self._ray.kill(worker.actor)

    def _start(self, worker: _Worker) -> None:
        worker.actor = self._start_actor(worker.index)
        worker.starting = worker.actor.ready.remote()
        worker.calls.clear()
        worker.since = time.monotonic()

    def _receive(self, worker: _Worker) -> Done | Lost | None:
        try:
            value = self._ray.get(worker.next_reference)
        except self._ray.exceptions.RayError as error:
            # Not only dead actors: a result can be lost with its node or for lack of memory, and the state of an actor
            # that raised is unknown.
            self._count_failure(error_summary(error))
            _log.debug("%s %d", self._name, worker.index, exc_info=error)
            return self._replace(worker, error_summary(error))
        worker.since, self._none_ready_since = time.monotonic(), None
        if worker.starting is not None:
            worker.starting, worker.pid = None, value
            return None
        _, tag = worker.calls.popleft()
        self._failures = 0
        return Done(worker.index, tag, value)

    def _count_failure(self, reason: str) -> None:
        self._failures += 1
        if self._failures > _MAX_FAILURES_PER_WORKER * len(self._workers):
            raise ExperimentStopped(f"{self._name}s fail repeatedly: {reason}")

    def _replace(self, worker: _Worker, reason: str) -> Lost:
        _log.warning("%s %d is replaced: %s", self._name, worker.index, reason)
        lost = Lost(worker.index, self.pending(worker.index), reason)
        self._ray.kill(worker.actor)
        self.restarts += 1
        self._start(worker)
        return lost

    def _is_overdue(self, worker: _Worker) -> bool:
        # An actor that waits for resources is not hanging: it starts as soon as a node has them.
        return worker.starting is None and time.monotonic() - worker.since > self._hang_timeout_s

    def _check_any_ready(self) -> None:
        if self.ready:
            self._none_ready_since = None
            return
        now = time.monotonic()
        self._none_ready_since = self._none_ready_since or now
        if now - self._none_ready_since > self._place_timeout_s:
            free = self._ray.available_resources()
            raise ExperimentStopped(
                f"no {self._name} was ready for {self._place_timeout_s:g} s; the cluster has {free.get('CPU', 0):g} "
                f"free CPUs and {free.get('GPU', 0):g} free GPUs: add nodes or lower cluster.workers, then `lab resume`"
            )
