"""Environments stepped one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.environments import snapshots
from agents.environments.environments import Environments, Rows, Step, environment_seed
from agents.environments.faults import advance, begin, close, failed, name_of
from agents.environments.inspection import inspect, not_of_its_space, refuse_late_mask
from agents.environments.masks import check_legal, legal_options
from agents.environments.observations import MASK, Arrays
from lab.errors import UserError


class SerialEnvironments(Environments):
    """Environments stepped one after the other in this process, each reset in the step that ends its episode."""

    def __init__(
        self, make: Callable[[], gym.Env[Any, Any]], count: int, *, numbers: Sequence[int] | None = None
    ) -> None:
        """numbers: of the environments among those of the run, from which their seeds follow; by default from 0."""
        self._envs = [make() for _ in range(count)]
        self.spaces = inspect(self._envs[0])
        self.count, self.groups = count, (slice(0, count),)
        self._numbers = range(count) if numbers is None else numbers
        self._actions: NDArray[Any] = np.zeros((count, self.spaces.actions.columns))
        self._finals = self.spaces.codec.empty(count)
        self._mask_size = self.spaces.actions.mask_size

    def reset(self, seed: int, into: Rows) -> None:
        for row, env in enumerate(self._envs):
            observation, info = begin(env, environment_seed(seed, self._numbers[row]))
            self._write(observation, info, into, row, env)

    def send(self, group: int, actions: NDArray[Any]) -> None:
        self._actions = actions

    def receive(self, group: int, into: Rows) -> Step:
        return self.step(self._actions, range(self.count), into)

    def step(self, actions: NDArray[Any], which: range, into: Rows) -> Step:
        """One step of the environments `which` with actions [n, D]."""
        n = len(which)
        reward = np.zeros(n)
        terminated, truncated = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        finals: list[int] = []
        to_environment = self.spaces.actions.to_environment
        for row, number in enumerate(which):
            env = self._envs[number]
            observation, *results, info = advance(env, to_environment(actions[row]))
            try:
                reward[row], terminated[row], truncated[row] = results
            except (TypeError, ValueError) as error:
                raise failed(env, "step (reward, terminated, truncated)", error) from None
            if terminated[row] or truncated[row]:
                if not terminated[row]:
                    self._encode(observation, self._finals, len(finals), env)
                    finals.append(row)
                observation, info = begin(env)
            self._write(observation, info, into, row, env)
        final = {name: array[: len(finals)].copy() for name, array in self._finals.items()}
        rows = np.asarray(finals, np.int64)
        none = np.zeros(n, np.bool_)
        return Step(reward, terminated, truncated, ~none, terminated | truncated, rows, final, none)

    def environment(self, number: int) -> gym.Env[Any, Any]:
        """One of the environments, for rendering."""
        return self._envs[number]

    def state_dict(self) -> dict[str, Any]:
        states = [snapshots.save(env) for env in self._envs]
        return {} if any(state is None for state in states) else {"environments": states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for env, own in zip(self._envs, state["environments"], strict=True):
            snapshots.load(env, own)

    def close(self) -> None:
        for env in self._envs:
            close(env)

    def _encode(self, observation: Any, into: Arrays, row: int, env: gym.Env[Any, Any]) -> None:
        try:
            self.spaces.codec.write(observation, into, row)
        except Exception as error:
            raise not_of_its_space(env, error) from None

    def _write(self, observation: Any, info: Mapping[str, Any], into: Rows, row: int, env: gym.Env[Any, Any]) -> None:
        self._encode(observation, into.observations, row, env)
        if not self.spaces.masks:
            refuse_late_mask(info, env)
            return
        try:
            found = observation[MASK] if self.spaces.codec.has_mask else info.get(MASK)
            into.mask[row] = legal_options(found, self._mask_size)
            check_legal(into.mask[row : row + 1], self.spaces.actions.sizes)
        except UserError as error:
            raise UserError(f"environment {name_of(env)}: {error}") from None
