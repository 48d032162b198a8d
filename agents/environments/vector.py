"""One of Gymnasium's vector environments, as rows with the same meaning whatever its autoreset mode.

The autoreset modes are those of Gymnasium 1.1: after the end of an episode the next call returns the reset (NEXT_STEP,
and its action is ignored), the same call does (SAME_STEP), or the caller resets (DISABLED).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from agents.environments import snapshots
from agents.environments.environments import Environments, Rows, Step, environment_seed
from agents.environments.faults import advance, begin, close, failed, name_of
from agents.environments.inspection import inspect_spaces, not_of_its_space, refuse_late_mask
from agents.environments.masks import check_legal, legal_options_of_all, merged_masks
from agents.environments.observations import MASK, Arrays
from lab.errors import UserError
from lab.files.plain import same_form


class VectorEnvironments(Environments):
    """One of Gymnasium's vector environments, in any autoreset mode.

    The mode is read from the metadata; without one it is NEXT_STEP, Gymnasium's default.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], *, first: int = 0) -> None:
        """first: the number of the first environment among those of the run, from which the seed follows."""
        self._env, self._first = env, first
        self.spaces = inspect_spaces(env, lambda: (env.single_observation_space, env.single_action_space))
        codec, actions = self.spaces.codec, self.spaces.actions
        self.mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self.count, self.groups = env.num_envs, (slice(0, env.num_envs),)
        self._ended = np.zeros(self.count, np.bool_)
        self._none, self._no_finals = np.zeros(self.count, np.bool_), (np.zeros(0, np.int64), codec.empty(0))
        self._actions: NDArray[Any] = np.zeros((self.count, actions.columns))

    def reset(self, seed: int, into: Rows) -> None:
        observations, info = begin(self._env, environment_seed(seed, self._first))
        self._ended[:] = False
        self._write(observations, info, into)

    def send(self, group: int, actions: NDArray[Any]) -> None:
        self._actions = actions

    def receive(self, group: int, into: Rows) -> Step:
        actions = self.spaces.actions.to_batch(self._actions)
        observations, *results, info = advance(self._env, actions)
        try:
            reward = np.asarray(results[0], np.float64).reshape(self.count)
            terminated, truncated = (np.asarray(result, np.bool_).reshape(self.count) for result in results[1:])
        except (TypeError, ValueError) as error:
            raise failed(self._env, "step (reward, terminated, truncated)", error) from None
        ended = terminated | truncated
        only_truncated = np.flatnonzero(truncated & ~terminated)
        valid, starts = ~self._none, ended
        rows, final = self._no_finals
        if self.mode == AutoresetMode.NEXT_STEP:
            valid, starts = ~self._ended, self._ended.copy()
            self._ended = ended.copy()
        elif self.mode == AutoresetMode.SAME_STEP:
            if len(only_truncated):
                rows, final = only_truncated, self._finals(info.get("final_obs"), only_truncated)
        elif ended.any():
            rows, final = only_truncated, self._select(observations, only_truncated)
            observations, more = begin(self._env, options={"reset_mask": ended.copy()})
            info = {**info, **merged_masks(info, more, ended)}
        self._write(observations, info, into)
        reward = np.where(valid, reward, 0.0)
        return Step(reward, terminated & valid, truncated & valid, valid, starts, rows, final, self._none)

    def state_dict(self) -> dict[str, Any]:
        state = snapshots.save(self._env)
        return {} if state is None else {"vector": state, "ended": self._ended.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        snapshots.load(self._env, state["vector"])
        self._ended = same_form(state["ended"], self._ended, "ended").copy()

    def close(self) -> None:
        close(self._env)

    def _write(self, observations: Any, info: Mapping[str, Any], into: Rows) -> None:
        try:
            self.spaces.codec.write_batch(observations, into.observations)
        except Exception as error:
            raise not_of_its_space(self._env, error) from None
        if not self.spaces.masks:
            refuse_late_mask(info, self._env)
            return
        try:
            found = observations[MASK] if self.spaces.codec.has_mask else info.get(MASK)
            into.mask[:] = legal_options_of_all(found, self.count, self.spaces.actions.mask_size)
            # Where an episode has ended, and the next step resets it, no action is taken.
            check_legal(into.mask[~self._ended], self.spaces.actions.sizes)
        except UserError as error:
            raise UserError(f"environment {name_of(self._env)}: {error}") from None

    def _select(self, observations: Any, rows: NDArray[np.int64]) -> Arrays:
        """Encoded rows of batched observations."""
        every = self.spaces.codec.empty(self.count)
        self.spaces.codec.write_batch(observations, every)
        return {name: array[rows] for name, array in every.items()}

    def _finals(self, final: Any, rows: NDArray[np.int64]) -> Arrays:
        """Encoded rows of `info["final_obs"]`, a batch or an object for each row."""
        if final is None:
            raise UserError(
                f"environment {name_of(self._env)} truncated an episode and gave no info['final_obs'], which the "
                "autoreset mode SAME_STEP needs"
            )
        try:
            if not (isinstance(final, np.ndarray) and final.dtype == object):
                return self._select(final, rows)
            found = self.spaces.codec.empty(len(rows))
            for at, row in enumerate(rows):
                self.spaces.codec.write(final[row], found, at)
        except Exception as error:
            raise not_of_its_space(self._env, error) from None
        return found
