"""A pool that outlives its actors: calls go out, results come back in order, who dies or hangs is replaced."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cluster.pool.connection import import_ray
from lab.errors import Stopped

_log = logging.getLogger(__name__)
_FAILURES_IN_A_ROW = 4  # of each seat, on average, without a single result: then it is not bad luck
_SLICE_S = 1.0  # of waiting, after which deadlines are looked at


@dataclass(frozen=True)
class Done:
    """A call's result."""

    seat: int
    tag: Any
    value: Any


@dataclass(frozen=True)
class Lost:
    """Calls that no result will come of, for their actor died, failed or hung; its seat has another already."""

    seat: int
    tags: list[Any]
    reason: str


@dataclass
class _Seat:
    """A place in the pool, taken by one actor after another."""

    index: int
    actor: Any = None
    starting: Any = None  # reference to the answer that says the actor is up; None once it is
    process: int = 0  # its id, where the actor is up
    calls: deque[tuple[Any, Any]] = field(default_factory=deque)  # references and tags, oldest first
    since: float = 0.0  # when it began what it is doing

    @property
    def head(self) -> Any:
        if self.starting is not None:
            return self.starting
        return self.calls[0][0] if self.calls else None


class Pool:
    """`size` seats. `hire(index)` starts an actor for a seat; its method `ready` answers with its process.

    Actors neither restart nor retry by themselves (max_restarts=0, max_task_retries=0): a restarted actor would have
    forgotten its games and still answer for its predecessor, and a retried call might be played, and counted, twice.
    Here a new actor is a new incarnation that the learner knows of before it plays.
    """

    def __init__(
        self, what: str, size: int, hire: Callable[[int], Any], place_timeout_s: float, hang_timeout_s: float
    ) -> None:
        self._ray = import_ray()
        self._what, self._hire = what, hire
        self._place_timeout_s, self._hang_timeout_s = place_timeout_s, hang_timeout_s
        self.replaced = 0
        self._failures = 0
        self._seats = [_Seat(index) for index in range(size)]
        for seat in self._seats:
            self._fill(seat)
        self._nobody_since: float | None = None

    @property
    def up(self) -> list[int]:
        """Seats whose actor answers."""
        return [seat.index for seat in self._seats if seat.starting is None]

    def process(self, seat: int) -> int:
        """The id, on its node, of the process of a seat that is up."""
        return self._seats[seat].process

    def out(self, seat: int) -> list[Any]:
        """Tags of a seat's calls that have not come back, oldest first."""
        return [tag for _, tag in self._seats[seat].calls]

    def call(self, seat: int, method: str, *arguments: Any, tag: Any = None) -> None:
        """Calls a method of the seat's actor; calls of one seat run one after another."""
        place = self._seats[seat]
        if not place.calls:
            place.since = time.monotonic()
        place.calls.append((getattr(place.actor, method).remote(*arguments), tag))

    def next(self, timeout_s: float | None = None) -> Done | Lost | None:
        """The next result or loss, waited for; None after `timeout_s`, and when an actor has come up.

        Raises Stopped when no actor has been up for the time that placing may take, or actors only ever fail.
        """
        end = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        while True:
            waited_for = {seat.head: seat for seat in self._seats if seat.head is not None}
            if not waited_for:
                return None
            left = max(0.0, min(_SLICE_S, end - time.monotonic()))
            ready, _ = self._ray.wait(list(waited_for), num_returns=1, timeout=left)
            # Also while others answer: a learner may be waiting for this one alone.
            overdue = {head: seat for head, seat in waited_for.items() if self._is_overdue(seat)}
            if overdue:
                silent = self._ray.wait(list(overdue), num_returns=len(overdue), timeout=0, fetch_local=False)[1]
                if silent:
                    return self._replace(overdue[silent[0]], f"no answer for {self._hang_timeout_s:g} s")
            if ready:
                return self._take(waited_for[ready[0]])
            self._check_anyone_is_up()
            if time.monotonic() >= end:
                return None

    def close(self) -> None:
        """Ends every actor."""
        for seat in self._seats:
            self._ray.kill(seat.actor)

    def _fill(self, seat: _Seat) -> None:
        seat.actor = self._hire(seat.index)
        seat.starting = seat.actor.ready.remote()
        seat.calls.clear()
        seat.since = time.monotonic()

    def _take(self, seat: _Seat) -> Done | Lost | None:
        try:
            value = self._ray.get(seat.head)
        except self._ray.exceptions.RayError as error:
            # Not death alone: a result is lost with the node that holds it or for want of room, and what an actor
            # that raised has in hand is anybody's guess.
            self._failures += 1
            if self._failures > _FAILURES_IN_A_ROW * len(self._seats):
                raise Stopped(f"{self._what}s fail again and again: {last_line(error)}") from error
            _log.debug("%s %d", self._what, seat.index, exc_info=error)
            return self._replace(seat, last_line(error))
        seat.since, self._nobody_since = time.monotonic(), None
        if seat.starting is not None:
            seat.starting, seat.process = None, value
            return None
        _, tag = seat.calls.popleft()
        self._failures = 0
        return Done(seat.index, tag, value)

    def _replace(self, seat: _Seat, reason: str) -> Lost:
        _log.warning("%s %d is replaced: %s", self._what, seat.index, reason)
        lost = Lost(seat.index, self.out(seat.index), reason)
        self._ray.kill(seat.actor)
        self.replaced += 1
        self._fill(seat)
        return lost

    def _is_overdue(self, seat: _Seat) -> bool:
        # An actor that waits for room to start in does not hang: it is used as soon as a node offers some.
        return seat.starting is None and time.monotonic() - seat.since > self._hang_timeout_s

    def _check_anyone_is_up(self) -> None:
        if self.up:
            self._nobody_since = None
            return
        now = time.monotonic()
        self._nobody_since = self._nobody_since or now
        if now - self._nobody_since > self._place_timeout_s:
            free = self._ray.available_resources()
            raise Stopped(
                f"no {self._what} has been up for {self._place_timeout_s:g} s; the cluster has {free.get('CPU', 0):g} "
                f"CPUs and {free.get('GPU', 0):g} GPUs free: add a node or lower cluster.workers, then `lab resume`"
            )


def last_line(error: BaseException) -> str:
    """What an error of Ray's comes down to."""
    # Ray adds advice on every cause that it can think of.
    lines = [line.strip() for line in str(error).partition(" Some common causes")[0].splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
