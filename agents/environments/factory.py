"""Environments of a configuration in this process, of Gymnasium or of PettingZoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym

from agents.environments.environments import Spaces
from agents.environments.faults import close
from agents.environments.inspection import inspect
from agents.environments.make import EnvironmentConfig, make, maker
from agents.environments.parallel import ParallelEnvironments, inspect_parallel, is_parallel, parallel_maker
from agents.environments.serial import SerialEnvironments


class Description(NamedTuple):
    """What is known of an environment once it was made: spaces for the policy, its own, and its metadata."""

    spaces: Spaces
    observation_space: gym.Space[Any]
    metadata: Mapping[str, Any]


def in_process(
    config: EnvironmentConfig, count: int, *, numbers: Sequence[int] | None = None, render_mode: str | None = None
) -> SerialEnvironments | ParallelEnvironments:
    """`count` environments stepped one after the other; numbers: of the environments, from which seeds follow."""
    if is_parallel(config):
        return ParallelEnvironments(parallel_maker(config, render_mode), count, masks=config.masks, numbers=numbers)
    return SerialEnvironments(maker(config, render_mode), count, numbers=numbers)


def describe(config: EnvironmentConfig) -> Description:
    """Make an environment, look at it, and close it. Raises UserError where it cannot be made or is not supported."""
    if is_parallel(config):
        env = parallel_maker(config)()
        space = env.observation_space(env.possible_agents[0])
        found = Description(inspect_parallel(env, config.masks), space, env.metadata)
    else:
        env = make(config)
        found = Description(inspect(env), env.observation_space, env.metadata)
    close(env)
    return found
