"""Arrays of environments in memory that several processes share."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.environments.environments import Rows, Spaces
from agents.environments.observations import Arrays


class Block(NamedTuple):
    """An array in shared memory that other processes can map."""

    memory: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def array(self) -> NDArray[Any]:
        return np.frombuffer(self.memory, self.dtype, count=int(np.prod(self.shape))).reshape(self.shape)


@dataclass(frozen=True)
class SharedMemory:
    """All arrays of N environments; `final` holds final observations at the front of each share's rows."""

    observations: dict[str, Block]
    final: dict[str, Block]
    mask: Block
    actions: Block
    reward: Block
    terminated: Block
    truncated: Block
    final_rows: Block
    finals: Block
    """Number of final observations [groups, processes]."""


class SharedArrays:
    """The shared arrays as numpy arrays."""

    def __init__(self, shared: SharedMemory) -> None:
        self.rows = Rows({name: block.array() for name, block in shared.observations.items()}, shared.mask.array())
        self.final: Arrays = {name: block.array() for name, block in shared.final.items()}
        self.actions, self.reward = shared.actions.array(), shared.reward.array()
        self.terminated, self.truncated = shared.terminated.array(), shared.truncated.array()
        self.final_rows, self.finals = shared.final_rows.array(), shared.finals.array()


def allocate(context: BaseContext, spaces: Spaces, *, count: int, groups: int, processes: int) -> SharedMemory:
    """Shared memory for the arrays of `count` environments."""

    def block(shape: tuple[int, ...], dtype: Any) -> Block:
        kind = np.dtype(dtype)
        size = max(1, int(np.prod(shape)) * kind.itemsize)
        return Block(context.RawArray(ctypes.c_byte, size), shape, kind)

    actions = np.float32 if spaces.actions.continuous else np.int64
    return SharedMemory(
        observations={name: block((count, *shape), dtype) for name, (shape, dtype) in spaces.codec.shapes.items()},
        final={name: block((count, *shape), dtype) for name, (shape, dtype) in spaces.codec.shapes.items()},
        mask=block((count, spaces.actions.mask_size if spaces.masks else 0), np.bool_),
        actions=block((count, spaces.actions.columns), actions),
        reward=block((count,), np.float64),
        terminated=block((count,), np.bool_),
        truncated=block((count,), np.bool_),
        final_rows=block((count,), np.int64),
        finals=block((groups, processes), np.int64),
    )


def copy_rows(source: Rows, target: Rows, source_rows: slice, target_rows: slice) -> None:
    """Copy rows of observations and masks."""
    for name, array in source.observations.items():
        target.observations[name][target_rows] = array[source_rows]
    target.mask[target_rows] = source.mask[source_rows]
