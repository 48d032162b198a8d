"""AlphaZero's self-play on Ray: workers play with published weights, the learner collects finished games."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import PolicyValueNet
from agents.alphazero.records import FinishedGames
from agents.search.dynamics import LeafCounts
from cluster.pool.placement import PlacementGroup, placed_workers
from cluster.pool.worker_pool import Done, WorkerPool
from cluster.workers.processes import Played, SelfPlayWorker, unpack
from cluster.workers.received_results import ReceivedResults
from cluster.workers.weights import PublishedWeights
from lab.errors import ExperimentStopped
from lab.train.device import Device


@contextmanager
def start(config: AlphaZeroConfig, device: Device) -> "Iterator[RayActors]":
    """Actors on the cluster; see `lab.config.registry.Kind.actors`. On exit they end and release their resources."""
    with placed_workers(config.cluster, device) as placement, closing(RayActors(config, placement)) as actors:
        yield actors


class RayActors:
    """Self-play by workers (`agents.alphazero.actors.Actors`).

    Every worker has up to `results_ahead` pending calls: it plays while the learner trains and then pauses, so that
    self-play cannot get far ahead of the learner and results cannot fill the memory. A call plays with the newest
    weights at the time of the call. Results are collected in the order of the calls, one at a time.
    """

    def __init__(self, config: AlphaZeroConfig, placement: PlacementGroup) -> None:
        self._config, self._options = config, config.cluster
        self._placement = placement
        self._settings = config.model_dump(mode="json")
        self._results = ReceivedResults()
        self._pool: WorkerPool | None = None
        self._weights = PublishedWeights()
        self._counts = LeafCounts()
        self._started = self._polled = time.perf_counter()
        self._waited = 0.0
        self._received: list[Played] = []  # since `metrics` was called, without the games
        self._received_bytes = 0
        self._measured = self._started
        self._of_this_process: dict[str, Any] = {}

    def publish(self, version: int, net: PolicyValueNet) -> None:
        self._weights.put(version, net)

    def poll(self) -> list[FinishedGames]:
        """Collect one result per ready worker, and all results that would otherwise lag by more than `max_lag`.

        Raises ExperimentStopped, with nothing collected, when no worker is left and none can be started.
        """
        start = time.perf_counter()
        pool = self._pool = self._pool or self._open_pool()
        games: list[FinishedGames] = []
        collected, positions, wanted = 0, 0, max(1, len(pool.ready))
        oldest = self._weights.version + 1 - self._options.max_lag  # `publish` comes next
        while True:
            # With max_lag 0 the next call needs the next version. While the learner waits for one worker, the others
            # play at most `window_start` positions.
            if (self._options.max_lag or not collected) and positions < self._config.replay.window_start:
                self._make_calls(pool)
            pending = [version for worker in pool.ready for version in pool.pending(worker)]
            if collected and (not pending or (collected >= wanted and min(pending) >= oldest)):
                break
            try:
                outcome = pool.next()
            except ExperimentStopped:
                if not collected:
                    raise
                break  # the learner trains on what was collected first; the next poll raises
            if isinstance(outcome, Done):
                collected += 1
                received = self._receive(outcome.value)
                positions += sum(len(batch.positions) for batch in received)
                games += received
        self._polled = time.perf_counter()
        self._waited += self._polled - start
        return games

    def processes(self) -> list[int]:
        """Process ids, on their nodes, of the workers that are ready."""
        return [] if self._pool is None else [self._pool.pid(worker) for worker in self._pool.ready]

    def counts(self) -> LeafCounts:
        return self._counts

    def seconds(self) -> float:
        return self._polled - self._started

    def metrics(self) -> dict[str, float]:
        wall, self._measured = self._polled - self._measured, self._polled
        waited, self._waited = self._waited, 0.0
        received, self._received = self._received, []
        transferred, self._received_bytes = self._received_bytes, 0
        up, replaced = (0, 0) if self._pool is None else (len(self._pool.ready), self._pool.restarts)
        metrics = {
            "cluster/workers_alive": float(up),
            "cluster/restarts": float(replaced),
            "cluster/learner_wait": waited / wall,
            "cluster/result_mb_per_s": transferred / 2**20 / wall,
            "cluster/weights_mb": self._weights.bytes / 2**20,
        }
        if received:
            ages = [self._weights.version - played.version for played in received]
            rates = self._rates(received)
            metrics |= {
                "cluster/policy_lag": sum(ages) / len(ages),
                "cluster/max_policy_lag": float(max(ages)),
                "cluster/worker_busy": min(1.0, sum(played.seconds for played in received) / (wall * max(up, 1))),
                "cluster/worker_moves_per_s": sum(rates) / len(rates),
                "cluster/slowest_moves_per_s": min(rates),
            }
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {"counts": self._counts._asdict(), "results": self._results.state_dict(), **self._of_this_process}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._counts = LeafCounts.from_state(state["counts"])
        if "results" in state:  # absent where all games were played in process
            self._results.load_state_dict(state["results"])
        self._of_this_process = {name: part for name, part in state.items() if name not in ("counts", "results")}

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _open_pool(self) -> WorkerPool:
        """Workers start with the first poll: only then are the earlier incarnations known."""
        options = self._options
        return WorkerPool(
            "self-play worker",
            options.workers,
            self._start_actor,
            place_timeout_s=options.place_timeout_s,
            hang_timeout_s=options.hang_timeout_s,
        )

    def _start_actor(self, worker: int) -> Any:
        incarnation = self._results.next_incarnation(worker)
        resources = self._placement.resources[worker]
        return self._placement.start_actor(
            worker, SelfPlayWorker, self._settings, worker, incarnation, resources.threads, resources.gpus > 0
        )

    def _make_calls(self, pool: WorkerPool) -> None:
        """Give every ready worker as many calls as it may have."""
        ahead = self._options.results_ahead if self._options.max_lag else 1
        for worker in pool.ready:
            for _ in range(ahead - len(pool.pending(worker))):
                pool.call(worker, "play", self._weights.version, self._weights.reference, tag=self._weights.version)

    def _receive(self, played: Played) -> list[FinishedGames]:
        if not self._results.accept(played.origin):
            return []
        self._counts = LeafCounts(*(sum(pair) for pair in zip(self._counts, played.counts, strict=True)))
        self._received.append(played._replace(games=None))
        self._received_bytes += played.bytes
        return [] if played.games is None else [unpack(played.games)]

    def _rates(self, received: list[Played]) -> list[float]:
        """Moves per second of each worker while it played."""
        moves: dict[int, int] = defaultdict(int)
        seconds: dict[int, float] = defaultdict(float)
        for played in received:
            moves[played.origin.worker] += played.counts.roots
            seconds[played.origin.worker] += played.seconds
        return [moves[worker] / seconds[worker] for worker in moves]
