"""The pool on actors that do next to nothing: what comes back, and who is replaced. Real signals."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster.drills.processes import running
from cluster.pool.worker_pool import Done, Lost, WorkerPool
from lab.errors import UserError

Make = Callable[..., WorkerPool]


@pytest.fixture
def make(ray_here: object) -> Iterator[Make]:
    """Builds a pool whose workers are all ready; it ends with the test."""
    import ray

    class Echo:
        def ready(self) -> int:
            return os.getpid()

        def repeat(self, value: Any) -> Any:
            return value

        def fail(self) -> None:
            raise ValueError("no such weights")

    made: list[WorkerPool] = []

    def build(size: int, hang_timeout_s: float = 60) -> WorkerPool:
        made.append(
            WorkerPool(
                "echo",
                size,
                lambda _: ray.remote(num_cpus=0, max_restarts=0)(Echo).remote(),
                place_timeout_s=60,
                hang_timeout_s=hang_timeout_s,
            )
        )
        up(made[-1], size)
        return made[-1]

    yield build
    for pool in made:
        pool.close()


def up(pool: WorkerPool, size: int) -> None:
    while len(pool.ready) < size:
        assert pool.next() is None


def gone(process: int) -> bool:
    """Whether a process ends within half a minute."""
    deadline = time.monotonic() + 30
    while running({process}) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running({process})


def test_results_of_a_seat_come_in_the_order_of_its_calls(make: Make) -> None:
    pool = make(2)
    for number in range(5):
        for worker in range(2):
            pool.call(worker, "repeat", (worker, number), tag=number)
    assert pool.pending(0) == [0, 1, 2, 3, 4]
    done = [pool.next() for _ in range(10)]
    assert pool.next() is None, "nothing is out"
    for worker in range(2):
        of_worker = [one for one in done if isinstance(one, Done) and one.worker == worker]
        assert of_worker == [Done(worker, number, (worker, number)) for number in range(5)]


def test_who_dies_loses_its_calls_alone_and_is_replaced(make: Make) -> None:
    pool = make(2)
    victim = pool.pid(0)
    os.kill(victim, signal.SIGSTOP)
    for worker in range(2):
        pool.call(worker, "repeat", worker, tag="first")
        pool.call(worker, "repeat", worker, tag="second")
    os.kill(victim, signal.SIGKILL)
    outcomes = [pool.next(), pool.next(), pool.next()]
    (lost,) = [one for one in outcomes if isinstance(one, Lost)]
    assert (lost.worker, lost.tags) == (0, ["first", "second"])
    assert [one for one in outcomes if one != lost] == [Done(1, "first", 1), Done(1, "second", 1)]
    assert pool.pending(0) == [] and pool.restarts == 1
    up(pool, 2)
    pool.call(0, "repeat", "again")
    assert pool.next() == Done(0, None, "again") and pool.pid(0) != victim


def test_whose_call_fails_is_replaced_too(make: Make) -> None:
    pool = make(1)
    before = pool.pid(0)
    pool.call(0, "fail", tag="first")
    pool.call(0, "repeat", 0, tag="second")
    outcome = pool.next()
    assert isinstance(outcome, Lost)
    assert outcome.tags == ["first", "second"] and outcome.reason == "ValueError: no such weights"
    assert gone(before)


def test_who_hangs_is_replaced_however_busy_the_others_are(make: Make) -> None:
    pool = make(2, hang_timeout_s=1.5)
    os.kill(pool.pid(0), signal.SIGSTOP)
    pool.call(0, "repeat", "never", tag="stuck")
    outcome: Any = None
    while not isinstance(outcome, Lost):
        if not pool.pending(1):
            pool.call(1, "repeat", "still here")
        outcome = pool.next()
        assert isinstance(outcome, Lost) or outcome == Done(1, None, "still here")
    assert (outcome.worker, outcome.tags) == (0, ["stuck"]) and "no answer for 1.5 s" in outcome.reason


def test_nobody_hangs_whose_answer_lies_unread(make: Make) -> None:
    pool = make(2, hang_timeout_s=0.5)
    large = bytes(200_000)  # kept in the object store, not handed over with the answer
    for worker in range(2):
        pool.call(worker, "repeat", large)
    time.sleep(1)  # the caller is busy elsewhere
    outcomes = [pool.next(), pool.next()]
    assert all(isinstance(one, Done) for one in outcomes) and pool.restarts == 0


def test_who_only_ever_fails_ends_the_run_with_the_reason(ray_here: object) -> None:
    import ray

    class Doomed:
        def __init__(self) -> None:
            raise ValueError("no such weights")

        def ready(self) -> int:
            return 0

    pool = WorkerPool(
        "doomed worker", 1, lambda _: ray.remote(num_cpus=0)(Doomed).remote(), place_timeout_s=60, hang_timeout_s=60
    )
    with pytest.raises(UserError, match=r"doomed workers fail repeatedly.*no such weights"):
        for _ in range(20):
            pool.next()
    pool.close()


@pytest.mark.slow
def test_who_only_ever_hangs_ends_the_run(make: Make) -> None:
    pool = make(1, hang_timeout_s=0.3)
    with pytest.raises(UserError, match=r"echos fail repeatedly: no answer for 0.3 s"):
        for _ in range(20):
            os.kill(pool.pid(0), signal.SIGSTOP)
            pool.call(0, "repeat", "never")
            assert isinstance(pool.next(), Lost)
            up(pool, 1)
