"""Grading on Ray, beside training: the learner goes on while a worker grades the weights it was handed."""

import logging
from typing import Any

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.grading import Graded
from agents.alphazero.network import PolicyValueNet
from cluster.connect import import_ray
from cluster.placement import Room
from cluster.pool import Done, Lost, Pool
from cluster.worker import GradingWorker, weights_of
from lab.errors import UserError

_log = logging.getLogger(__name__)
_ATTEMPTS = 2  # at one grading, each by a worker of its own


class RayEvaluator:
    """Grades one network at a time in bundle `seat` of the room (`agents.alphazero.grading.Evaluator`).

    Training never fails for want of a grading: one that cannot be had is skipped, and said to be.
    """

    def __init__(self, config: AlphaZeroConfig, room: Room, seat: int) -> None:
        self._config, self._room, self._seat = config, room, seat
        self._pool: Pool | None = None
        self._asked: tuple[int, Any] | None = None  # positions, and a reference to the weights
        self._attempts = 0
        self._answers: list[Graded] = []

    @property
    def pending(self) -> int | None:
        return None if self._asked is None else self._asked[0]

    def ask(self, positions: int, net: PolicyValueNet) -> None:
        self._collect(wait=False)
        if self._asked is not None:
            _log.warning("no grading at %d positions: that at %d is still running", positions, self._asked[0])
            return
        self._asked, self._attempts = (positions, import_ray().put(weights_of(net))), 0
        self._collect(wait=False)

    def answers(self, wait: bool = False) -> list[Graded]:
        try:
            self._collect(wait)
        except UserError as error:
            self._give_up(str(error))
        answers, self._answers = self._answers, []
        return answers

    def processes(self) -> list[int]:
        """The id, on its node, of the process that grades, once it is up."""
        return [] if self._pool is None else [self._pool.process(seat) for seat in self._pool.up]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _collect(self, wait: bool) -> None:
        pool = self._pool = self._pool or self._open_pool()
        while self._asked is not None:
            if pool.up and not pool.out(0):
                self._attempts += 1
                pool.call(0, "grade", *self._asked)
            up = pool.up
            outcome = pool.next(None if wait else 0.0)
            if isinstance(outcome, Done):
                self._answers.append(outcome.value)
                self._asked = None
            elif isinstance(outcome, Lost):
                if self._attempts >= _ATTEMPTS:
                    self._give_up(outcome.reason)
            elif pool.up == up and not wait:
                return

    def _give_up(self, reason: str) -> None:
        if self._asked is not None:
            _log.warning("no grading at %d positions: %s", self._asked[0], reason)
            self._asked = None

    def _open_pool(self) -> Pool:
        options = self._config.cluster
        return Pool("grading worker", 1, self._hire, options.place_timeout_s, options.hang_timeout_s)

    def _hire(self, _: int) -> Any:
        share = self._room.shares[self._seat]
        settings = self._config.model_dump(mode="json")
        return self._room.hire(self._seat, GradingWorker, settings, share.threads, share.gpus > 0)
