"""Parallel environments of PettingZoo: every agent of every environment is a row, and one policy acts for all.

All agents share the policy (parameter sharing; Gupta et al. 2017), so that their spaces must be equal. An agent that
has left its episode gives rows that are no steps until the episode of all has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.environments.actions import action_spec
from agents.environments.environments import Environments, Rows, Spaces, Step, environment_seed
from agents.environments.faults import advance, begin, close, described, failed, name_of, one_line
from agents.environments.inspection import check_masks, check_spaces, refuse_late_mask
from agents.environments.make import PARALLEL_PREFIX, EnvironmentConfig
from agents.environments.masks import check_legal, legal_options
from agents.environments.observations import MASK, ObservationCodec
from agents.environments.pettingzoo_modules import Source, find
from agents.environments.quiet import quiet
from lab.errors import UserError

ENTRY_POINTS = "rivals.parallel_environments"
"""Group of entry points: a name without a dot -> a function that makes a parallel environment."""
_SOURCE = Source(
    kind="parallel",
    attribute="parallel_env",
    packages=("pettingzoo", "mpe2"),
    group=ENTRY_POINTS,
    example="mpe2.simple_spread_v3",
    prefix=PARALLEL_PREFIX,
    lacks="its agents act in turn, or it is no environment",
)


def is_parallel(config: EnvironmentConfig) -> bool:
    """Whether an environment is one of PettingZoo's."""
    return config.id.startswith(PARALLEL_PREFIX)


def parallel_maker(config: EnvironmentConfig, render_mode: str | None = None) -> Callable[[], Any]:
    """A function that makes the environment. Raises UserError with one line: the cause and the fix."""
    if "render_mode" in config.kwargs:
        raise UserError("env.kwargs.render_mode is set by the lab; leave it out")
    if config.wrappers:
        raise UserError("env.wrappers are Gymnasium's, which do not fit PettingZoo's environments; leave them out")
    return partial(_make, config, _factory(config.id.removeprefix(PARALLEL_PREFIX)), render_mode)


class ParallelEnvironments(Environments):
    """E environments of A agents in this process: rows e * A to e * A + A - 1 are the agents of environment e."""

    def __init__(
        self, make: Callable[[], Any], count: int, *, masks: bool = True, numbers: Sequence[int] | None = None
    ) -> None:
        """masks: use masks of legal actions where there are some. numbers: of the environments, for their seeds."""
        self._envs = [make() for _ in range(count)]
        self._agents: list[Any] = list(self._envs[0].possible_agents)
        self.spaces = inspect_parallel(self._envs[0], masks)
        self.count = count * len(self._agents)
        self.groups = (slice(0, self.count),)
        self._numbers = range(count) if numbers is None else numbers
        self._random = [np.random.default_rng(number) for number in self._numbers]
        self._wants_masks = masks
        self._alive = np.zeros(self.count, np.bool_)
        self._actions: NDArray[Any] = np.zeros((self.count, self.spaces.actions.columns))
        self._finals = self.spaces.codec.empty(self.count)

    def reset(self, seed: int, into: Rows) -> None:
        for index, number in enumerate(self._numbers):
            self._random[index] = np.random.default_rng(environment_seed(seed, number))
            self._begin(index, into)

    def send(self, group: int, actions: NDArray[Any]) -> None:
        self._actions = actions

    def receive(self, group: int, into: Rows) -> Step:
        n = self.count
        reward, valid = np.zeros(n), self._alive.copy()
        terminated, truncated, starts = (np.zeros(n, np.bool_) for _ in range(3))
        finals: list[int] = []
        to_environment = self.spaces.actions.to_environment
        for index, env in enumerate(self._envs):
            rows = {agent: index * len(self._agents) + at for at, agent in enumerate(self._agents)}
            acting = [agent for agent in env.agents if self._alive[rows[agent]]]
            actions = {agent: to_environment(self._actions[rows[agent]]) for agent in acting}
            observations, rewards, termination, truncation, infos = advance(env, actions)
            try:
                left = set(acting) - set(env.agents)
                for agent in acting:
                    row = rows[agent]
                    reward[row], truncated[row] = rewards[agent], truncation[agent]
                    terminated[row] = termination[agent] or (agent in left and not truncation[agent])
                    if truncated[row] and not terminated[row]:
                        self.spaces.codec.write(observations[agent], self._finals, len(finals))
                        finals.append(row)
            except Exception as error:
                raise failed(env, "step (results of the agents)", error) from error
            if env.agents:
                self._write(index, observations, infos, into)
            else:
                self._begin(index, into)
            own = slice(index * len(self._agents), (index + 1) * len(self._agents))
            starts[own] = self._alive[own] & (~valid[own] | terminated[own] | truncated[own])
        final = {name: array[: len(finals)].copy() for name, array in self._finals.items()}
        lost = np.zeros(n, np.bool_)
        return Step(reward, terminated, truncated, valid, starts, np.asarray(finals, np.int64), final, lost)

    def environment(self, number: int) -> Any:
        """One of the environments, for rendering."""
        return self._envs[number]

    def state_dict(self) -> dict[str, Any]:
        return {}  # no environment of PettingZoo can be saved

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        raise ValueError("environments of PettingZoo cannot be loaded")

    def close(self) -> None:
        for env in self._envs:
            close(env)

    def _begin(self, index: int, into: Rows) -> None:
        env = self._envs[index]
        # With a seed each time: without one, some environments draw from the operating system.
        observations, infos = begin(env, int(self._random[index].integers(2**31)))
        self._write(index, observations, infos, into)

    def _write(self, index: int, observations: Mapping[Any, Any], infos: Mapping[Any, Any], into: Rows) -> None:
        env, present = self._envs[index], set(self._envs[index].agents)
        for at, agent in enumerate(self._agents):
            row = index * len(self._agents) + at
            self._alive[row] = agent in present
            if self._wants_masks and not self.spaces.masks:
                refuse_late_mask(infos.get(agent, {}), env)
            if agent not in present:
                into.mask[row] = True
                for array in into.observations.values():
                    array[row] = 0
                continue
            try:
                self.spaces.codec.write(observations[agent], into.observations, row)
                if self.spaces.masks:
                    found = observations[agent][MASK] if self.spaces.codec.has_mask else infos[agent].get(MASK)
                    into.mask[row] = legal_options(found, self.spaces.actions.mask_size)
                    check_legal(into.mask[row : row + 1], self.spaces.actions.sizes)
            except UserError as error:
                raise UserError(f"environment {name_of(env)}, agent {agent}: {error}") from None
            except Exception as error:
                raise UserError(
                    f"environment {name_of(env)}, agent {agent}: an observation is not of its space: {described(error)}"
                ) from None


def inspect_parallel(env: Any, masks: bool = True) -> Spaces:
    """The spaces of a parallel environment's agents. Raises UserError if they differ or are not supported."""
    agents = list(env.possible_agents)
    spaces = [(env.observation_space(agent), env.action_space(agent)) for agent in agents]
    for agent, own in zip(agents, spaces, strict=True):
        if own != spaces[0]:
            raise UserError(
                f"environment {name_of(env)}: the spaces of {agents[0]} and {agent} differ, and one policy acts for "
                "all agents; pad them to equal spaces first, for example with SuperSuit"
            )
    observation_space, action_space = spaces[0]
    try:
        codec, actions = ObservationCodec(observation_space), action_spec(action_space)
    except UserError as error:
        raise UserError(f"environment {name_of(env)}: {error}") from None
    check_spaces(codec, actions, name_of(env))
    _, infos = begin(env, 0)
    has_masks = masks and (codec.has_mask or any(MASK in info for info in infos.values()))
    check_masks(has_masks, actions, name_of(env))
    return Spaces(codec, actions, has_masks, agents=len(agents))


def _make(config: EnvironmentConfig, factory: Callable[..., Any], render_mode: str | None) -> Any:
    arguments: dict[str, Any] = {"render_mode": render_mode} if render_mode else {}
    try:
        with quiet():
            env = factory(**arguments, **config.kwargs)
            assert env.possible_agents, "it has no list of possible agents"
            return env
    except ImportError as error:
        raise UserError(f"environment {config.id!r} needs a package that is not installed: {one_line(error)}") from None
    except Exception as error:
        raise UserError(f"environment {config.id!r} cannot be made: {described(error)}") from error


def _factory(name: str) -> Callable[..., Any]:
    return find(name, _SOURCE)
