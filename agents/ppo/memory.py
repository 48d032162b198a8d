"""Memory of a PPO run: rollout, minibatch and network. The environments themselves come on top."""

import math

import torch
from torch import Tensor

from agents.environments.environments import Spaces
from agents.ppo.collector import VALUE_ROWS
from agents.ppo.config import PPOConfig
from agents.ppo.learner import minibatch_count
from agents.ppo.network import ActorCritic, Observations
from agents.ppo.policy import make_network
from lab.run.memory_needs import Need, activations, saved_bytes, weights
from lab.train.device import Device

_COPIES = 3
"""Of a rollout: as the environments wrote it, as tensors on the device, and shuffled for an epoch."""
_PASSING = 1.7
"""What a forward pass holds besides the tensors that autograd saves: inputs of activations, observations as floats."""


def needs(config: PPOConfig, spaces: Spaces, device: Device) -> list[Need]:
    """The parts of the memory of a run, before any of it is allocated."""
    learner = config.learner
    count = config.env.count * spaces.agents
    steps = (learner.rollout_steps + 1) * count
    trained = learner.rollout_steps * count
    minibatch = math.ceil(trained / minibatch_count(trained, learner.minibatch))
    rows = min(learner.micro_batch or minibatch, minibatch)
    with torch.device("meta"):
        network, _ = make_network(config, spaces)

        def outputs(count: int) -> Tensor:
            return torch.cat([part.flatten() for part in _forward(network, _observations(spaces, count))])

        step = activations(
            network, lambda: outputs(rows), device, reduce_with="learner.micro_batch or learner.minibatch"
        )
        # Values of the whole rollout are computed afterwards, in parts of this many rows.
        evaluated = 1 if network.recurrent else min(steps, VALUE_ROWS)
        values = saved_bytes(network, lambda: outputs(evaluated)) * _PASSING
    kept = steps * (_row_bytes(spaces) * _COPIES)
    rollout = Need("the rollout", kept, "env.count or learner.rollout_steps")
    training = Need(step.what, step.size * _PASSING + minibatch * _row_bytes(spaces), step.reduce_with)
    # Values are computed before the first training step, so that the larger of the two counts.
    largest = training if training.size > values else Need("the values of a rollout", values, "the observations' size")
    return [weights(network, learner, reduce_with="network.hidden or network.convolutions"), largest, rollout]


def _observations(spaces: Spaces, count: int) -> Observations:
    """Observations [count, ...] on the meta device."""
    return {
        name: torch.zeros(count, *shape, dtype=torch.uint8 if dtype.kind == "u" else torch.float32)
        for name, (shape, dtype) in spaces.codec.shapes.items()
    }


def _forward(network: ActorCritic, observations: Observations) -> tuple[Tensor, ...]:
    if not network.recurrent:
        return network(observations)
    count = len(next(iter(observations.values())))
    return network.step(observations, torch.zeros(count, network.state_size))


def _row_bytes(spaces: Spaces) -> int:
    """Bytes of a step in a rollout: observation, mask, actions, and numbers such as advantages."""
    observation = sum(math.prod(shape) * dtype.itemsize for shape, dtype in spaces.codec.shapes.values())
    mask = spaces.actions.mask_size if spaces.masks else 0
    return observation + mask + 8 * spaces.actions.columns + 4 * (6 + spaces.actions.mask_size)
