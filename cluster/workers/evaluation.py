"""Grading on Ray, beside training: the learner goes on while a worker grades the weights it was handed."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from torch import nn

from cluster.pool.connection import connect, error_summary, import_ray
from cluster.pool.placement import PlacementGroup, placement_group_name, worker_resources
from cluster.pool.worker_pool import Done, Lost, WorkerPool
from cluster.workers.gan_evaluation import MeasuringWorker
from cluster.workers.processes import weights_of
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.model import Sampler
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from lab.train.device import Device

_log = logging.getLogger(__name__)
_ATTEMPTS = 2  # at one grading, each by a worker of its own


class RayGrading:
    """Has one network at a time graded by a `worker` in bundle `seat` of the placement.

    It is AlphaZero's `Evaluator` and the GAN's `Grading`. `network` finds the network in what is to be graded.
    Training never fails for want of a grading: one that cannot be had is skipped, and said to be.
    """

    def __init__(
        self,
        worker: type,
        config: ExperimentConfig,
        placement: PlacementGroup,
        seat: int,
        network: Callable[[Any], nn.Module] = lambda network: network,
    ) -> None:
        self._worker, self._config, self._placement, self._seat = worker, config, placement, seat
        self._network = network
        self._pool: WorkerPool | None = None
        self._asked: tuple[int, Any] | None = None  # the progress counter, and a reference to the weights
        self._attempts = 0
        self._answers: list[Any] = []

    @property
    def pending(self) -> int | None:
        return None if self._asked is None else self._asked[0]

    def ask(self, at: int, what: Any) -> None:
        self._collect(wait=False)
        if self._asked is not None:
            _log.warning("no grading at %d: that at %d is still running", at, self._asked[0])
            return
        ray = import_ray()
        try:
            weights = ray.put(weights_of(self._network(what)))
        except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError) as error:
            _log.warning("no grading at %d: its weights found no room: %s", at, error_summary(error))
            return
        self._asked, self._attempts = (at, weights), 0
        self._collect(wait=False)

    def answers(self, wait: bool = False) -> list[Any]:
        self._collect(wait)
        answers, self._answers = self._answers, []
        return answers

    def processes(self) -> list[int]:
        """The id, on its node, of the process that grades, once it is up."""
        return [] if self._pool is None else [self._pool.pid(seat) for seat in self._pool.ready]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _collect(self, wait: bool) -> None:
        try:
            self._go_on(wait)
        except UserError as error:
            self._give_up(str(error))
            if self._pool is not None:  # it has no actor that would answer; the next time another may
                self._pool.close()
                self._pool = None

    def _go_on(self, wait: bool) -> None:
        pool = self._pool = self._pool or self._open_pool()
        while self._asked is not None:
            if pool.ready and not pool.pending(0):
                self._attempts += 1
                pool.call(0, "grade", *self._asked)
            up = pool.ready
            outcome = pool.next(None if wait else 0.0)
            if isinstance(outcome, Done):
                self._answers.append(outcome.value)
                self._asked = None
            elif isinstance(outcome, Lost):
                if self._attempts >= _ATTEMPTS:
                    self._give_up(outcome.reason)
            elif pool.ready == up and not wait:
                return

    def _give_up(self, reason: str) -> None:
        if self._asked is not None:
            _log.warning("no grading at %d: %s", self._asked[0], reason)
            self._asked = None

    def _open_pool(self) -> WorkerPool:
        options = self._config.cluster
        return WorkerPool(
            "grading worker",
            1,
            self._start_actor,
            place_timeout_s=options.place_timeout_s,
            hang_timeout_s=options.hang_timeout_s,
        )

    def _start_actor(self, _: int) -> Any:
        resources = self._placement.resources[self._seat]
        settings = self._config.model_dump(mode="json")
        return self._placement.start_actor(self._seat, self._worker, settings, resources.threads, resources.gpus > 0)


@contextmanager
def start_measuring(config: ProgressiveGANConfig, device: Device) -> Iterator[dict[str, Any]]:
    """An evaluator of generated images on the cluster; see `lab.config.registry.Kind.workers`."""
    timeout_s = config.cluster.place_timeout_s
    with (
        connect(config.cluster, device),
        closing(
            PlacementGroup(worker_resources(config.cluster, device), timeout_s, ("evaluator",), placement_group_name())
        ) as placement,
        closing(RayGrading(MeasuringWorker, config, placement, 0, _generator)) as evaluator,
    ):
        yield {"evaluator": evaluator}


def _generator(sampler: Sampler) -> nn.Module:
    return sampler.generator
