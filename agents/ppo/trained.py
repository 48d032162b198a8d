"""A trained policy, read from a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agents.environments.environments import Spaces
from agents.environments.factory import Description, describe
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.network import ActorCritic
from agents.ppo.policy import make_network
from lab.run import checkpoint as checkpoints
from lab.run.load import load_run
from lab.train.device import Device


@dataclass(frozen=True)
class TrainedPolicy:
    """The network of a checkpoint, the distribution over its actions, and what is known of its environment."""

    name: str
    config: PPOConfig
    environment: Description
    network: ActorCritic
    distribution: ActionDistribution

    @property
    def spaces(self) -> Spaces:
        """The spaces of the environment as the policy sees them."""
        return self.environment.spaces


def load_policy(path: str | Path, device: Device, which: str = checkpoints.BEST) -> TrainedPolicy:
    """The policy of a run directory, or of one of its checkpoint directories; `which` as in `lab.run.load.load_run`.

    Raises UserError where there is no such checkpoint, it is of another kind, or its environment cannot be made.
    """
    trained = load_run(Path(path), PPOConfig, which)
    environment = describe(trained.config.env)
    network, distribution = make_network(trained.config, environment.spaces)
    with trained.restoring() as state:
        network.load_state_dict(state["learner"]["network"])
    name = f"{trained.checkpoint.parent.parent.name}:{trained.iteration}"
    return TrainedPolicy(name, trained.config, environment, network.to(device.device).eval(), distribution)
