"""PPO's rollouts on Ray: each worker steps its share of the environments, and the learner waits for all shares."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from numpy.typing import NDArray

from agents.environments.environments import parts
from agents.environments.factory import describe
from agents.ppo.config import PPOConfig
from agents.ppo.network import ActorCritic
from agents.ppo.records import Trajectories
from agents.ppo.shares import joined, joined_states, share_of_state
from cluster.pool.placement import PlacementGroup, placed_workers
from cluster.pool.worker_pool import Done, Lost, WorkerPool
from cluster.workers.rollout_worker import Answer, RolloutWorker
from cluster.workers.weights import PublishedWeights
from lab.errors import ExperimentStopped, UserError
from lab.train.device import Device


@contextmanager
def start(config: PPOConfig, device: Device) -> "Iterator[RayRollouts]":
    """Actors on the cluster; see `lab.config.registry.Kind.actors`. On exit they end and release their resources."""
    with placed_workers(config.cluster, device) as placement, closing(RayRollouts(config, device, placement)) as actors:
        yield actors


class RayRollouts:
    """The environments of a run in workers (`agents.ppo.actors.Actors`).

    PPO needs the steps of the newest policy: every rollout is collected with the weights published last, and the
    learner waits for all workers. Observations, actions and recurrent states are those of one process, up to rounding,
    because episodes and actions are functions of the environments' numbers. Gymnasium's vectorised environments draw
    the episodes of a share from one generator: theirs are others with other shares.

    A worker that is lost is replaced. Its environments begin new episodes, the old ones are counted as dropped, and it
    collects the rollout again.
    """

    def __init__(self, config: PPOConfig, device: Device, placement: PlacementGroup) -> None:
        self.spaces = describe(config.env).spaces
        self.count = config.env.count * self.spaces.agents
        self._config, self._options, self._device = config, config.cluster, device.device
        self._settings, self._placement = config.model_dump(mode="json"), placement
        shares = parts(slice(0, config.env.count), self._options.workers)
        self._numbers = [range(share.start, share.stop) for share in shares]
        agents = self.spaces.agents
        self._rows = [slice(own.start * agents, own.stop * agents) for own in self._numbers]
        self._steps_taken = self._incarnations = 0
        self._dropped: set[int] = set()  # workers whose episodes were dropped since the last rollout
        self._interrupted = False  # some environments are a rollout ahead of the others
        self._weights, self._versions = PublishedWeights(), 0
        self._busy_s = self._waited_s = 0.0
        self._slowest_s, self._received_bytes, self._measured = 0.0, 0, time.perf_counter()
        self._pool = WorkerPool(
            "rollout worker",
            self._options.workers,
            self._start_actor,
            place_timeout_s=self._options.place_timeout_s,
            hang_timeout_s=self._options.hang_timeout_s,
        )

    def publish(self, network: ActorCritic) -> None:
        self._weights.put(self._versions, network, required=True)
        self._versions += 1

    def collect(self) -> Trajectories:
        """The next rollout of all environments.

        Raises ExperimentStopped when a worker cannot be replaced, UserError for an error of the environments.
        """
        begin = time.perf_counter()
        self._interrupted = True
        arguments = self._steps_taken, self._weights.version, self._weights.reference
        answers = self._ask(lambda worker: ("collect", *arguments))
        self._interrupted = False
        shares = [answer.value for answer in answers]
        self._waited_s += time.perf_counter() - begin
        self._busy_s += sum(answer.seconds for answer in answers)
        self._slowest_s += max(answer.seconds for answer in answers)
        self._received_bytes += sum(_bytes(share) for share in shares)
        self._steps_taken += self._config.learner.rollout_steps
        for worker in self._dropped:
            shares[worker] = shares[worker]._replace(dropped=~shares[worker].dropped)
        self._dropped.clear()
        return joined(shares, self._device)

    def processes(self) -> list[int]:
        """Process ids, on their nodes, of the workers that are ready."""
        return [self._pool.pid(worker) for worker in self._pool.ready]

    def metrics(self) -> dict[str, float]:
        now = time.perf_counter()
        wall, self._measured = now - self._measured, now
        found = {
            "cluster/workers_alive": float(len(self._pool.ready)),
            "cluster/restarts": float(self._pool.restarts),
            "cluster/learner_wait": self._waited_s / wall,
            "cluster/worker_busy": self._busy_s / (wall * self._options.workers),
            "cluster/result_mb_per_s": self._received_bytes / 2**20 / wall,
            "cluster/weights_mb": self._weights.bytes / 2**20,
        }
        if self._slowest_s:
            found["cluster/balance"] = self._busy_s / self._options.workers / self._slowest_s
        self._busy_s = self._waited_s = self._slowest_s = 0.0
        self._received_bytes = 0
        return found

    def state_dict(self) -> dict[str, Any]:
        if self._interrupted or len(self._pool.ready) < self._options.workers:
            return {"environments": {}, "steps_taken": self._steps_taken}
        states = [answer.value for answer in self._ask(lambda worker: ("state",))]
        whole = joined_states(states) | {"steps_taken": self._steps_taken}
        # The episodes of a worker that was lost just now have not been dropped yet: the state has no place for that.
        return whole if not self._dropped else {"environments": {}, "steps_taken": self._steps_taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        shares = [share_of_state(state, self._rows, worker) for worker in range(self._options.workers)]
        self._steps_taken = int(state["steps_taken"])
        loaded = [answer.value for answer in self._ask(lambda worker: ("load_state", shares[worker]))]
        self._dropped.clear()
        return all(loaded)

    def close(self) -> None:
        self._pool.close()

    def _ask(self, call: Callable[[int], Sequence[Any]]) -> list[Answer]:
        """Call a method of every worker and wait for all answers; a worker that is replaced is asked again."""
        pool, answers = self._pool, dict[int, Answer]()
        waiting = set(range(self._options.workers))
        while waiting:
            for worker in waiting.intersection(pool.ready):
                if not pool.pending(worker):
                    pool.call(worker, *call(worker))
            outcome = pool.next(self._options.place_timeout_s)
            if isinstance(outcome, Done):
                if outcome.value.error:
                    raise UserError(outcome.value.error)
                answers[outcome.worker] = outcome.value
                waiting.remove(outcome.worker)
            elif isinstance(outcome, Lost):
                if outcome.tags:
                    self._dropped.add(outcome.worker)
            elif not any(pool.pending(worker) for worker in waiting) and not waiting.intersection(pool.ready):
                raise ExperimentStopped(
                    f"rollout worker {min(waiting)} has not started for {self._options.place_timeout_s:g} s, and a "
                    "rollout needs all of them: add nodes or lower cluster.workers, then `lab resume`"
                )
        return [answers[worker] for worker in range(self._options.workers)]

    def _start_actor(self, worker: int) -> Any:
        resources = self._placement.resources[worker]
        seed = self._config.seed + self._steps_taken + max(0, self._incarnations - self._options.workers + 1)
        self._incarnations += 1
        return self._placement.start_actor(
            worker,
            RolloutWorker,
            self._settings,
            self._numbers[worker],
            seed,
            resources.threads,
            resources.gpus > 0,
        )


def _bytes(share: Trajectories) -> int:
    arrays: list[NDArray[Any]] = [*share.observations.values(), *share[1:]]  # type: ignore[list-item]
    return sum(array.nbytes for array in arrays)
