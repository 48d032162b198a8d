"""Rollouts: what the learner is given is what the policy saw."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agents.environments.serial import SerialEnvironments
from agents.ppo.config import PPOConfig
from lab.train import random_state
from tests.agents import small_ppo


class Pictures(gym.Env[NDArray[np.uint8], np.int64]):
    """Random images and random masks of legal actions; episodes of five steps."""

    observation_space = gym.spaces.Box(0, 255, (4, 4, 1), np.uint8)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return self._observe()

    def step(self, action: np.int64) -> Any:
        self._step += 1
        observation, info = self._observe()
        return observation, 0.0, self._step == 5, False, info

    def _observe(self) -> Any:
        mask = self.np_random.permutation([1, 1, 0]).astype(np.int8)
        return self.np_random.integers(0, 256, (4, 4, 1), np.uint8), {"action_mask": mask}


@pytest.mark.parametrize("recurrent", ["none", "gru"])
def test_observations_masks_and_starts_are_those_of_the_actions(recurrent: str) -> None:
    """Log-probabilities computed again from a rollout are those of the rollout, in its first and last rows too."""
    settings = {
        "budget": 1000,
        "env": {"id": "CartPole-v1", "count": 3},
        "network": {"hidden": (16,), "recurrent": recurrent, "recurrent_size": 8},
        "learner": {"rollout_steps": 7},
    }
    random_state.seed_everything(1)
    experiment = small_ppo.in_environments(PPOConfig.model_validate(settings), SerialEnvironments(Pictures, 3))
    torch.nn.init.normal_(experiment.learner.network.policy.weight)  # distinct outputs
    for _ in range(4):
        rollout, _ = experiment.collect()
        if recurrent == "none":
            flat = {name: values.flatten(0, 1) for name, values in rollout.observations.items()}
            outputs = experiment.learner.network(flat)[0].view(7, 3, -1)
        else:
            sequences = {name: values.transpose(0, 1) for name, values in rollout.observations.items()}
            outputs = experiment.learner.network.sequences(sequences, rollout.starts.T, rollout.states[0])[0]
            outputs = outputs.transpose(0, 1)
        log_probs, _ = experiment.learner.distribution.log_prob_entropy(outputs, rollout.actions, rollout.mask)
        torch.testing.assert_close(log_probs, rollout.log_probs, rtol=0, atol=1e-5)


def test_rollouts_without_a_valid_step_train_nothing(tmp_path: Path) -> None:
    changes = {"env": {"count": 1}, "learner": {"rollout_steps": 1, "updates_per_iteration": 60}}
    trained = small_ppo.experiment(tmp_path, **changes)  # CartPole's step after an end is the reset of the next episode
    metrics = trained.iterate()
    assert trained.counters["steps"] < 60 and trained.counters["updates"] == trained.counters["steps"]
    assert np.isfinite(metrics["loss/total"])


def test_metrics_are_means_over_the_updates_of_an_iteration(tmp_path: Path) -> None:
    one, many = (small_ppo.experiment(tmp_path, learner={"updates_per_iteration": updates}) for updates in (1, 3))
    many.learner.network.load_state_dict(one.learner.network.state_dict())
    single = [one.iterate() for _ in range(3)]
    together = many.iterate()
    for name in ("loss/total", "train/entropy"):
        assert together[name] == pytest.approx(np.mean([metrics[name] for metrics in single]), rel=1e-4)
    assert together["train/steps"] == single[-1]["train/steps"]
