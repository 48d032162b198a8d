"""Many environments stepped together: one loop in this process, or one of Gymnasium's vector environments.

Both give rows of arrays with one meaning, whatever the autoreset mode behind them. The autoreset modes are those of
Gymnasium 1.1: after the end of an episode the next call returns the reset (NEXT_STEP, and its action is ignored), the
same call does (SAME_STEP), or the caller resets (DISABLED).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from agents.environments import snapshots
from agents.environments.actions import ActionSpec, action_spec
from agents.environments.faults import advance, begin, close, described, failed, name_of
from agents.environments.masks import check_legal, legal_options, legal_options_of_all, merged_masks
from agents.environments.observations import MASK, Arrays, ObservationCodec
from lab.errors import UserError
from lab.files.plain import same_form


class Step(NamedTuple):
    """The result of one action in each of n environments, besides the observations that follow.

    reward: float64 [n]. terminated, truncated: bool [n]. valid: bool [n], false where the action was ignored because
    an episode had ended, or where the environment was lost. starts: bool [n], the following observation is the first
    of an episode. final_rows: int64 [F], rows whose episode was truncated and whose final observation is not among the
    observations that follow, but in `final` [F, ...]. lost: bool [n], the environment died and was replaced: its
    episode is dropped.
    """

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    starts: NDArray[np.bool_]
    final_rows: NDArray[np.int64]
    final: Arrays
    lost: NDArray[np.bool_]


@dataclass(frozen=True)
class Spaces:
    """What a policy must know of an environment: how observations are encoded, its actions, and its masks."""

    codec: ObservationCodec
    actions: ActionSpec
    masks: bool
    """Whether the environment gives a mask of legal actions, in its observations or in `info["action_mask"]`."""
    agents: int = 1
    """Agents of an environment, which act at the same time; each is a row."""


class Rows(NamedTuple):
    """Where the observations [n, ...] and the masks [n, M] (without masks [n, 0]) of n environments are written."""

    observations: Arrays
    mask: NDArray[np.bool_]

    def part(self, rows: slice) -> Rows:
        return Rows({name: array[rows] for name, array in self.observations.items()}, self.mask[rows])


class Environments(ABC):
    """N environments in groups that are stepped in turn, so that a policy can act in one while another computes."""

    spaces: Spaces
    count: int
    groups: tuple[slice, ...]
    """Rows of each group."""

    @abstractmethod
    def reset(self, seed: int, into: Rows) -> None:
        """Begin an episode in every environment; environment i is a function of the seed and of i."""

    @abstractmethod
    def send(self, group: int, actions: NDArray[Any]) -> None:
        """Start a step of a group with its actions [n, D]."""

    @abstractmethod
    def receive(self, group: int, into: Rows) -> Step:
        """Wait for the step of a group and write the observations that follow."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The state of all environments as plain values and arrays; {} if one of them cannot be saved."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""

    def close(self) -> None:  # noqa: B027
        """Release processes and windows."""


def inspect(env: gym.Env[Any, Any]) -> Spaces:
    """The spaces of an environment; it is reset once. Raises UserError for one that is not supported."""
    return inspect_spaces(env, lambda: (env.observation_space, env.action_space))


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
            raise _not_of_its_space(env, error) from None

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
            raise _not_of_its_space(self._env, error) from None
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
            raise _not_of_its_space(self._env, error) from None
        return found


def environment_seed(seed: int, number: int) -> int:
    """The seed of environment `number` of a run, in [0, 2**31)."""
    return int(np.random.SeedSequence([seed % 2**63, number]).generate_state(1)[0]) >> 1


def inspect_spaces(env: Any, spaces_of: Callable[[], tuple[Any, Any]]) -> Spaces:
    """The spaces of an environment from those of observations and actions; it is reset once.

    Raises UserError for one that is not supported.
    """
    try:
        observation_space, action_space = spaces_of()
        codec, actions = ObservationCodec(observation_space), action_spec(action_space)
    except UserError as error:
        raise UserError(f"environment {name_of(env)}: {error}") from None
    except (AttributeError, TypeError) as error:
        raise failed(env, "its spaces", error) from error
    check_spaces(codec, actions, name_of(env))
    _, info = begin(env, seed=0)
    masks = codec.has_mask or MASK in info
    check_masks(masks, actions, name_of(env))
    return Spaces(codec, actions, masks)


def check_spaces(codec: ObservationCodec, actions: ActionSpec, name: str) -> None:
    """Raise UserError if there is nothing to observe or nothing to decide."""
    if not codec.shapes:
        raise UserError(f"environment {name}: there is nothing in its observations (besides a mask of actions)")
    if not actions.columns:
        raise UserError(f"environment {name}: its actions have no numbers to decide on")


def check_masks(masks: bool, actions: ActionSpec, name: str) -> None:
    """Raise UserError for masks of actions that are not discrete."""
    if masks and actions.continuous:
        raise UserError(f"environment {name} has action masks, which are for discrete actions, and a Box of actions")


def refuse_late_mask(info: Mapping[str, Any], env: Any) -> None:
    """Raise UserError for a mask from an environment whose first reset gave none."""
    if MASK in info:
        raise UserError(
            f"environment {name_of(env)} gives an action mask in step and gave none in reset; a mask must come with "
            "every observation"
        )


def _not_of_its_space(env: Any, error: Exception) -> UserError:
    reason = str(error) if isinstance(error, UserError) else f"an observation is not of its space: {described(error)}"
    return UserError(f"environment {name_of(env)}: {reason}")
