"""The interface of many environments that are stepped together: rows of arrays, whatever steps them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.environments.actions import ActionSpec
from agents.environments.observations import Arrays, ObservationCodec


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


def environment_seed(seed: int, number: int) -> int:
    """The seed of environment `number` of a run, in [0, 2**31)."""
    return int(np.random.SeedSequence([seed % 2**63, number]).generate_state(1)[0]) >> 1


def parts(rows: slice, count: int) -> list[slice]:
    """Rows cut into `count` slices whose lengths differ by at most one."""
    bounds = np.linspace(rows.start, rows.stop, count + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(bounds)]
