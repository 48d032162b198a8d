"""The PPO experiment: rollouts, updates, evaluations."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.environments.factory import describe
from agents.ppo.actors import Actors, LocalActors, make_environments
from agents.ppo.config import PPOConfig
from agents.ppo.evaluation import play_episodes, validation_seed
from agents.ppo.learner import Learner
from agents.ppo.learner_rank import send
from agents.ppo.memory import needs
from agents.ppo.metrics import CATALOGUE
from agents.ppo.policy import make_network
from agents.ppo.recording import Recorder
from agents.ppo.records import Episodes, Rollout
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
    """Proximal policy optimization (Schulman et al. 2017) on many environments at once.

    Rank 0 owns actors, rollouts and evaluation; other ranks only take part in gradient steps
    (`agents.ppo.learner_rank`).
    """

    progress = "steps"
    catalogue = CATALOGUE

    def __init__(self, config: PPOConfig, learner: Learner, actors: Actors, recorder: Recorder | None = None) -> None:
        self.config, self.learner, self.actors = config, learner, actors
        self.actors.publish(learner.network)
        self._builder = RolloutBuilder(learner.network, config, actors.count)
        self._recorder = recorder
        self._steps = self._episodes = self._dropped = 0

    @property
    def counters(self) -> dict[str, int]:
        return {"steps": self._steps, "episodes": self._of_all_agents(self._episodes), "updates": self.learner.updates}

    def iterate(self) -> dict[str, float]:
        """Collect rollouts and train on each."""
        start, before = time.perf_counter(), self._steps
        found, updates, collecting = Episodes(), [], 0.0
        for _ in range(self.config.learner.updates_per_iteration):
            began = time.perf_counter()
            rollout, episodes = self.collect()
            collecting += time.perf_counter() - began
            self._steps += int(rollout.valid.sum())
            found.returns += episodes.returns
            found.lengths += episodes.lengths
            found.dropped += episodes.dropped
            send(rollout, self._steps)
            updates.append(self.learner.update(rollout, self._steps))
            self.actors.publish(self.learner.network)
        metrics = _over_updates(updates)
        self._episodes += len(found.returns)
        self._dropped += found.dropped
        seconds = time.perf_counter() - start
        if found.returns:
            metrics["rollout/return"] = float(np.mean(found.returns))
            metrics["rollout/length"] = float(np.mean(found.lengths))
        return (
            metrics
            | self.actors.metrics()
            | {
                "rollout/episodes": float(self._of_all_agents(self._episodes)),
                "rollout/dropped": float(self._of_all_agents(self._dropped)),
                "rollout/steps_per_s": (self._steps - before) / seconds,
                "time/rollout_s": collecting,
                "time/learning_s": seconds - collecting,
            }
        )

    def collect(self) -> tuple[Rollout, Episodes]:
        """One rollout of all environments and the episodes that ended in it."""
        return self._builder.build(self.actors.collect())

    def _of_all_agents(self, rows: int) -> int:
        """Episodes of environments whose agents' episodes, one for each, are `rows`."""
        return rows // self.actors.spaces.agents

    def evaluate(self) -> Evaluation:
        """Play whole episodes with the present policy, and record one if configured."""
        network = self.learner.network
        evaluate = self.config.evaluate
        with evaluating(network):
            played = play_episodes(
                network,
                self.learner.distribution,
                self.config,
                episodes=evaluate.episodes,
                deterministic=evaluate.deterministic,
                seed=validation_seed(self.config.seed),
            )
            media = self._recorder.record(network, self.learner.distribution, self._steps) if self._recorder else []
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
            "actors": self.actors.state_dict(),
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
        if not self.actors.load_state_dict(state["actors"]):
            self._builder.forget_episodes()
            _log.warning(
                "the checkpoint has no state of %s that fits: new episodes begin, and the resumed run is not bit for "
                "bit the uninterrupted one",
                self.config.env.id,
            )
        counts = state["steps"], state["episodes"], state["dropped"]
        if not all(is_count(count) for count in counts):
            raise CheckpointError("its number of steps or episodes is damaged")
        self._steps, self._episodes, self._dropped = counts

    def follower_state(self) -> dict[str, Any]:
        return {"learner": self.learner.state_dict()}

    def close(self) -> None:
        self.actors.close()


def _over_updates(updates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over the updates of an iteration; learning rate and optimizer steps are those of the last."""
    updates = [update for update in updates if update]  # without those that had nothing to train on
    if not updates:
        return {}
    last = dict(updates[-1])
    for name in last.keys() - {"train/learning_rate", "train/steps"}:
        # The explained variance of a rollout with constant returns is NaN.
        values = [update[name] for update in updates if not math.isnan(update[name])]
        last[name] = sum(values) / len(values) if values else math.nan
    return last


def build(config: PPOConfig, directory: Path, device: Device, *, actors: Actors | None = None) -> PPO:
    """The experiment of a run directory, with environments in this process unless actors are given.

    Raises UserError, before anything large is allocated, if it cannot fit.
    """
    environment = describe(config.env)
    memory_needs.check(needs(config, environment.spaces, device), device)
    recorder = Recorder(config, environment, directory) if config.evaluate.video else None
    warn_of_early_decay(
        config.learner, config.budget, config.learner.decay_steps or config.budget, PPO.progress, section="learner"
    )
    network, distribution = make_network(config, environment.spaces)
    learner = Learner(network, distribution, config.learner, device, config.seed)
    if actors is None:
        actors = LocalActors(make_environments(config), learner.network, distribution, config)
    return PPO(config, learner, actors, recorder)
