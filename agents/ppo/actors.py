"""Actors of PPO: they step all environments with the latest weights and return trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from agents.environments.environments import Environments, Spaces
from agents.environments.factory import in_process
from agents.environments.make import has_vectorised, make_vector, maker
from agents.environments.parallel import is_parallel
from agents.environments.processes import ProcessEnvironments
from agents.environments.vector import VectorEnvironments
from agents.ppo.collector import Collector
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.network import ActorCritic
from agents.ppo.records import Trajectories
from agents.ppo.shares import share_of_state


class Actors(Protocol):
    """The policy in all environments of a run.

    Seeds and sampled actions depend on the run's seed and the environment's number, not on the process that steps it.
    """

    @property
    def spaces(self) -> Spaces:
        """The spaces of one environment."""
        ...

    @property
    def count(self) -> int:
        """Number of rows: environments, or their agents."""
        ...

    def publish(self, network: ActorCritic) -> None:
        """Act with these weights from the next rollout on."""
        ...

    def collect(self) -> Trajectories:
        """The next `rollout_steps` steps of every environment, on the learner's device."""
        ...

    def metrics(self) -> dict[str, float]:
        """Metrics of the actors themselves since the last call."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What the next rollout starts from, in one form for all actors; `environments` is {} if it is not known."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Continue from `state_dict`. Returns False if the environments are not known: new episodes begin."""
        ...

    def close(self) -> None:
        """Release processes and windows."""
        ...


class LocalActors:
    """The environments of this process."""

    def __init__(
        self, environments: Environments, network: ActorCritic, distribution: ActionDistribution, config: PPOConfig
    ) -> None:
        self._environments = environments
        self.spaces, self.count = environments.spaces, environments.count
        self.collector = Collector(environments, network, distribution, config)
        self.collector.reset(config.seed)

    def publish(self, network: ActorCritic) -> None:
        pass  # the collector acts with the learner's network itself

    def collect(self) -> Trajectories:
        return self.collector.collect()

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return self.collector.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        return self.collector.load_state_dict(share_of_state(state, [slice(0, self.count)], 0))

    def close(self) -> None:
        self._environments.close()


def make_environments(config: PPOConfig, numbers: range | None = None) -> Environments:
    """The environments of a configuration, or those of the given numbers, which are stepped in this process."""
    env = config.env
    if env.processes and numbers is None:
        return ProcessEnvironments(maker(env), env.count, env.processes, timeout_s=env.hang_timeout_s)
    numbers = range(env.count) if numbers is None else numbers
    if is_parallel(env):
        return in_process(env, len(numbers), numbers=numbers)
    serial = env.vectorization == "serial" or (env.vectorization == "auto" and not has_vectorised(env))
    if serial:
        return in_process(env, len(numbers), numbers=numbers)
    return VectorEnvironments(make_vector(env, len(numbers)), first=numbers.start)
