"""Recurrent policies: what is trained is what acted, and they remember."""

import numpy as np
import pytest
import torch

from agents.environments.make import maker
from agents.environments.serial import SerialEnvironments
from agents.ppo.config import PPOConfig
from agents.ppo.learner import as_batch
from lab.train import random_state
from tests.agents import small_ppo


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("length", [None, 6])
def test_training_computes_what_the_rollout_computed(cell: str, shared: bool, length: int | None) -> None:
    """Episodes end inside sequences and with the fifth rollout; states are carried over rollouts, cleared at starts."""
    config = PPOConfig.model_validate(
        {
            "budget": 10_000,
            "env": {"id": "rivals/Recall-v0", "kwargs": {"delay": 4}, "count": 3},
            "network": {"hidden": (16,), "recurrent": cell, "recurrent_size": 8, "shared": shared},
            "learner": {"rollout_steps": 12, "sequence_length": length},
        }
    )
    random_state.seed_everything(1)
    experiment = small_ppo.in_environments(config, SerialEnvironments(maker(config.env), 3))
    torch.nn.init.normal_(experiment.learner.network.policy.weight)  # distinct outputs
    for _ in range(5):
        rollout, _ = experiment.collect()
        batch = as_batch(rollout, length, True)
        network = experiment.learner.network
        outputs, values = network.sequences(batch.observations, batch.starts, batch.states)
        log_probs, _ = experiment.learner.distribution.log_prob_entropy(outputs, batch.actions)
        torch.testing.assert_close(values, batch.values, rtol=0, atol=1e-6)
        torch.testing.assert_close(log_probs, batch.log_probs, rtol=0, atol=1e-6)
        assert batch.starts[:, 1:].any()
        assert np.isfinite(values.detach().numpy()).all()
