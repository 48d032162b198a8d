"""PPO on CartPole, with a network of 8 hidden units and a budget of 500 steps."""

from pathlib import Path
from typing import Any

import torch

from agents.environments.environments import Environments
from agents.ppo.actors import LocalActors
from agents.ppo.config import PPOConfig
from agents.ppo.experiment import PPO, build
from agents.ppo.learner import Learner
from agents.ppo.policy import make_network
from lab.config.loading import dump
from lab.config.presets import merge
from lab.train.device import Device

DEVICE = Device(torch.device("cpu"), "fp32", 1)


def config(**changes: Any) -> PPOConfig:
    """Four iterations of 128 steps, evaluated at the end, checkpoints every 2; changes merge into sections."""
    settings: dict[str, Any] = {
        "kind": "ppo",
        "budget": 500,
        "threads": 1,
        "env": {"id": "CartPole-v1", "count": 4},
        "network": {"hidden": [8]},
        "learner": {"rollout_steps": 32, "minibatch": 64, "epochs": 2},
        "checkpoint": {"every": 2},
        "evaluate": {"every": 4, "episodes": 2},
        "tracking": {"wandb": "off"},
    }
    return PPOConfig.model_validate(merge(settings, changes))


def experiment(folder: Path, **changes: Any) -> PPO:
    """The experiment of `config`."""
    return build(config(**changes), folder, DEVICE)


def in_environments(settings: PPOConfig, environments: Environments, device: Device = DEVICE) -> PPO:
    """An experiment in the given environments of this process."""
    network, distribution = make_network(settings, environments.spaces)
    learner = Learner(network, distribution, settings.learner, device, settings.seed)
    return PPO(settings, learner, LocalActors(environments, network, distribution, settings))


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "small.yaml"
    path.write_text(dump(config(**changes)))
    return path
