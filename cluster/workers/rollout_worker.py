"""The program of a rollout worker: its share of the environments under the weights that it receives."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agents.environments.faults import EnvironmentFailed
from agents.ppo.actors import make_environments
from agents.ppo.collector import Collector
from agents.ppo.policy import make_network
from agents.ppo.records import Trajectories
from agents.ppo.shares import packed
from cluster.workers.set_up import set_up
from cluster.workers.weights import Weights, load
from lab.errors import UserError


class Answer(NamedTuple):
    """The result of a call. error: what the user must know; the value is None then. seconds: time of the work."""

    value: Any
    seconds: float
    error: str = ""


class RolloutWorker:
    """Environments of some numbers, and the recurrent states and unfinished episodes in them, which are lost with it.

    Errors that another worker would have too are answers; an environment that raises ends this one.
    """

    def __init__(self, settings: Mapping[str, Any], numbers: range, seed: int, threads: int, on_gpu: bool) -> None:
        """seed: of the first episodes, with the number of each environment."""
        self._version = -1
        self._begun = self._answer(lambda: self._begin(settings, numbers, seed, threads, on_gpu))

    def ready(self) -> int:
        """The process's id."""
        return os.getpid()

    def collect(self, steps_taken: int, version: int, weights: Weights) -> Answer:
        """The next rollout of these environments, packed. steps_taken: by each environment of the run so far."""

        def work() -> Trajectories:
            if version != self._version:
                load(self._network, weights)
                self._version = version
            return packed(self._collector.collect(steps_taken))

        return self._answer(work)

    def state(self) -> Answer:
        """`Collector.state_dict`."""
        return self._answer(lambda: self._collector.state_dict())

    def load_state(self, state: Mapping[str, Any]) -> Answer:
        """Continue from a state; the value is false where new episodes begin instead."""
        return self._answer(lambda: self._collector.load_state_dict(state))

    def _begin(self, settings: Mapping[str, Any], numbers: range, seed: int, threads: int, on_gpu: bool) -> None:
        config, device = set_up(settings, threads, on_gpu)
        environments = make_environments(config, numbers)
        network, distribution = make_network(config, environments.spaces)
        self._network = network.to(device.device)
        first = numbers.start * environments.spaces.agents
        self._collector = Collector(environments, self._network, distribution, config, first=first)
        self._collector.reset(seed)

    def _answer(self, work: Callable[[], Any]) -> Answer:
        begun = getattr(self, "_begun", Answer(None, 0.0))
        if begun.error:
            return begun
        start = time.perf_counter()
        try:
            return Answer(work(), time.perf_counter() - start)
        except EnvironmentFailed:
            raise
        except UserError as error:
            return Answer(None, 0.0, str(error))
