"""Evaluation beside training by a Ray actor, which loads checkpoints from storage that it and the learner share."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cluster.pool.connection import connect
from cluster.pool.placement import PlacementGroup, placement_group_name, worker_resources
from cluster.pool.worker_pool import Done, Lost, WorkerPool
from cluster.workers.set_up import set_up
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from lab.run.evaluator import ATTEMPTS, CheckpointEvaluator, EvaluationFailed
from lab.run.experiment import Evaluation
from lab.train.device import Device


class EvaluationWorker:
    """The actor that evaluates checkpoints."""

    def __init__(self, settings: Mapping[str, Any], target: str, directory: str, threads: int, on_gpu: bool) -> None:
        config, device = set_up(settings, threads, on_gpu)
        self._evaluate = CheckpointEvaluator(target, config, Path(directory), device)

    def ready(self) -> int:
        """The process's id."""
        return os.getpid()

    def evaluate(self, checkpoint: str) -> Evaluation:
        return self._evaluate(Path(checkpoint))


class RayEvaluator:
    """Evaluates one checkpoint at a time by an actor that is replaced when it dies (`lab.run.evaluator.Evaluator`)."""

    def __init__(self, config: ExperimentConfig, directory: Path, placement: PlacementGroup, target: str) -> None:
        self._config, self._directory, self._placement, self._target = config, directory, placement, target
        self._pool: WorkerPool | None = None
        self._checkpoint: Path | None = None
        self._attempts = 0

    def start(self, checkpoint: Path) -> None:
        self._checkpoint, self._attempts = checkpoint.resolve(), 0
        self._pool = self._pool or self._open_pool()

    def poll(self, timeout_s: float = 0.0) -> Evaluation | None:
        end = time.monotonic() + timeout_s
        try:
            while self._checkpoint is not None:
                found = self._next(max(0.0, end - time.monotonic()))
                if found is not None or time.monotonic() >= end:
                    return found
        except EvaluationFailed:
            self._checkpoint = None
            raise
        except UserError as error:  # no actor could be started; the next checkpoint may get one
            self._checkpoint = None
            self.close()
            raise EvaluationFailed(str(error)) from None
        return None

    def processes(self) -> list[int]:
        """The id of the actor's process on its node, once it is up."""
        return [] if self._pool is None else [self._pool.pid(index) for index in self._pool.ready]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _next(self, timeout_s: float) -> Evaluation | None:
        pool = self._pool = self._pool or self._open_pool()
        if pool.ready and not pool.pending(0):
            self._attempts += 1
            pool.call(0, "evaluate", str(self._checkpoint))
        outcome = pool.next(timeout_s)
        if isinstance(outcome, Done):
            self._checkpoint = None
            return outcome.value
        if isinstance(outcome, Lost) and self._attempts >= ATTEMPTS:
            raise EvaluationFailed(outcome.reason)
        return None

    def _open_pool(self) -> WorkerPool:
        options = self._config.cluster
        return WorkerPool(
            "evaluator",
            1,
            self._start_actor,
            place_timeout_s=options.place_timeout_s,
            hang_timeout_s=options.hang_timeout_s,
        )

    def _start_actor(self, _: int) -> Any:
        resources, settings = self._placement.resources[0], self._config.model_dump(mode="json")
        directory = str(self._directory.resolve())
        return self._placement.start_actor(
            0, EvaluationWorker, settings, self._target, directory, resources.threads, resources.gpus > 0
        )


@contextmanager
def start(config: ExperimentConfig, directory: Path, device: Device, target: str) -> Iterator[RayEvaluator]:
    """The evaluator of a run on the cluster; see `lab.config.registry.EVALUATOR`."""
    cluster = config.cluster
    with (
        connect(cluster, device),
        closing(
            PlacementGroup(
                worker_resources(cluster, device)[cluster.workers :],
                cluster.place_timeout_s,
                ("evaluator",),
                placement_group_name("evaluator"),
            )
        ) as placement,
        closing(RayEvaluator(config, directory, placement, target)) as evaluator,
    ):
        yield evaluator
