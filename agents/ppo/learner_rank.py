"""PPO on data-parallel ranks other than 0: only the learner, which computes its rows of each minibatch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.environments.factory import describe
from agents.ppo.config import PPOConfig
from agents.ppo.learner import Learner
from agents.ppo.policy import make_network
from agents.ppo.records import Rollout
from lab.train.collectives import ranks
from lab.train.device import Device


class LearnerRank:
    """Takes the same gradient steps as rank 0 on the rollouts that rank 0 collects (`lab.run.experiment.Follower`)."""

    def __init__(self, config: PPOConfig, device: Device) -> None:
        network, distribution = make_network(config, describe(config.env).spaces)
        self.learner = Learner(network, distribution, config.learner, device, config.seed)
        self._updates, self._device = config.learner.updates_per_iteration, device.device

    def iterate(self) -> None:
        for _ in range(self._updates):
            self.learner.update(*_receive(self._device))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.learner.load_state_dict(state["learner"])


def send(rollout: Rollout, taken: int) -> None:
    """From rank 0: a rollout and the environment steps so far, to all other ranks."""
    if ranks().size > 1:
        fields = rollout._asdict()
        fields |= {f"observations/{name}": tensor for name, tensor in fields.pop("observations").items()}
        ranks().broadcast_object((taken, {name: (tuple(field.shape), field.dtype) for name, field in fields.items()}))
        _broadcast_(list(fields.values()))


def build_follower(config: PPOConfig, directory: Path, device: Device) -> LearnerRank:
    """The part of the experiment on other ranks; see `lab.config.registry.Kind.follower`."""
    return LearnerRank(config, device)


def _receive(device: torch.device) -> tuple[Rollout, int]:
    taken, described = ranks().broadcast_object(None)
    fields = {name: torch.empty(shape, dtype=dtype, device=device) for name, (shape, dtype) in described.items()}
    _broadcast_(list(fields.values()))
    prefix = "observations/"
    observations = {name.removeprefix(prefix): fields.pop(name) for name in described if name.startswith(prefix)}
    return Rollout(observations=observations, **fields), taken


def _broadcast_(tensors: list[Tensor]) -> None:
    """Replace each tensor by that of rank 0; gloo has no bool, so those go as bytes."""
    bytewise = [tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor for tensor in tensors]
    ranks().broadcast_([tensor for tensor in bytewise if tensor.numel()])
