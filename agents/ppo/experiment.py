"""The PPO experiment: rollouts, updates, evaluations."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agents.environments.factory import describe, in_process
from agents.environments.make import has_own_vectorization, make_vector, maker
from agents.environments.parallel import is_parallel
from agents.environments.processes import ProcessEnvironments
from agents.environments.vector import Environments, VectorEnvironments
from agents.ppo.config import PPOConfig
from agents.ppo.evaluation import play_episodes
from agents.ppo.learner import Learner
from agents.ppo.memory import needs
from agents.ppo.metrics import CATALOGUE
from agents.ppo.policy import make_network
from agents.ppo.recording import Recorder
from agents.ppo.records import Episodes, Rollout
from agents.ppo.rollout import Collector
from agents.ppo.rollout_builder import RolloutBuilder
from lab.errors import CheckpointError
from lab.files.plain import is_count
from lab.run import memory_needs
from lab.run.experiment import Evaluation, Experiment
from lab.train.device import Device
from lab.train.learning_rate import warn_of_early_decay
from lab.train.modes import evaluating

_log = logging.getLogger(__name__)


class PPO(Experiment):
    """Proximal policy optimization (Schulman et al. 2017) on many environments at once."""

    progress = "steps"
    catalogue = CATALOGUE

    def __init__(
        self, config: PPOConfig, environments: Environments, device: Device, recorder: Recorder | None = None
    ) -> None:
        self.config = config
        network, distribution = make_network(config, environments.spaces)
        self.learner = Learner(network, distribution, config.learner, device, config.seed)
        self.collector = Collector(environments, network, distribution, config)
        self.collector.reset(config.seed)
        self._builder = RolloutBuilder(network, config, environments.count)
        self._distribution = distribution
        self._recorder = recorder
        self._steps = self._episodes = self._dropped = 0

    @property
    def counters(self) -> dict[str, int]:
        return {"steps": self._steps, "episodes": self._episodes, "updates": self.learner.updates}

    def iterate(self) -> dict[str, float]:
        """Collect rollouts and train on each."""
        start, before = time.perf_counter(), self._steps
        found, metrics, collecting = Episodes(), {}, 0.0
        for _ in range(self.config.learner.updates_per_iteration):
            began = time.perf_counter()
            rollout, episodes = self.collect()
            collecting += time.perf_counter() - began
            self._steps += int(rollout.valid.sum())
            found.returns += episodes.returns
            found.lengths += episodes.lengths
            found.dropped += episodes.dropped
            metrics = self.learner.update(rollout, self._steps)
        self._episodes += len(found.returns)
        self._dropped += found.dropped
        seconds = time.perf_counter() - start
        if found.returns:
            metrics["rollout/return"] = float(np.mean(found.returns))
            metrics["rollout/length"] = float(np.mean(found.lengths))
        return metrics | {
            "rollout/episodes": float(self._episodes),
            "rollout/dropped": float(self._dropped),
            "rollout/steps_per_s": (self._steps - before) / seconds,
            "time/rollout_s": collecting,
            "time/learning_s": seconds - collecting,
        }

    def collect(self) -> tuple[Rollout, Episodes]:
        """One rollout of all environments and the episodes that ended in it."""
        return self._builder.build(self.collector.collect())

    def evaluate(self) -> Evaluation:
        """Play whole episodes with the present policy, and record one if configured."""
        network = self.learner.network
        evaluate = self.config.evaluate
        with evaluating(network):
            played = play_episodes(
                network,
                self._distribution,
                self.config,
                episodes=evaluate.episodes,
                deterministic=evaluate.deterministic,
                seed=self.config.seed,
            )
            media = self._recorder.record(network, self._distribution, self._steps) if self._recorder else []
        return Evaluation(
            {
                "eval/return": float(played.returns.mean()),
                "eval/return_std": float(played.returns.std()),
                "eval/length": float(played.lengths.mean()),
            },
            media,
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "learner": self.learner.state_dict(),
            "collector": self.collector.state_dict(),
            "rollouts": self._builder.state_dict(),
            "steps": self._steps,
            "episodes": self._episodes,
            "dropped": self._dropped,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        try:
            self.learner.load_state_dict(state["learner"])
        except RuntimeError:
            raise CheckpointError("its network is not the one of this run's config.yaml") from None
        self._builder.load_state_dict(state["rollouts"])
        if not self.collector.load_state_dict(state["collector"]):
            self._builder.forget_episodes()
            _log.warning(
                "the state of %s cannot be saved: new episodes begin, and the resumed run is not bit for bit the "
                "uninterrupted one",
                self.config.env.id,
            )
        counts = state["steps"], state["episodes"], state["dropped"]
        if not all(is_count(count) for count in counts):
            raise CheckpointError("its number of steps or episodes is damaged")
        self._steps, self._episodes, self._dropped = counts

    def close(self) -> None:
        self.collector.environments.close()


def make_environments(config: PPOConfig) -> Environments:
    """The environments of a configuration."""
    env = config.env
    if is_parallel(env):
        return in_process(env, env.count)
    own = env.vectorization == "own" or (env.vectorization == "auto" and not has_own_vectorization(env))
    if env.processes:
        return ProcessEnvironments(maker(env), env.count, env.processes, timeout_s=env.hang_timeout_s)
    if own:
        return in_process(env, env.count)
    return VectorEnvironments(make_vector(env, env.count))


def build(config: PPOConfig, directory: Path, device: Device) -> PPO:
    """The experiment of a run directory. Raises UserError, before anything large is allocated, if it cannot fit."""
    spaces = describe(config.env).spaces
    memory_needs.check(needs(config, spaces, device), device)
    recorder = Recorder(config, directory) if config.evaluate.video else None
    warn_of_early_decay(
        config.learner, config.budget, config.learner.decay_steps or config.budget, PPO.progress, section="learner"
    )
    return PPO(config, make_environments(config), device, recorder)
