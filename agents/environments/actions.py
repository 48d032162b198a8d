"""Actions of a Gymnasium space as rows of numbers, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from lab.errors import UserError


@dataclass(frozen=True)
class ActionSpec:
    """The actions of a space: `sizes` categories each, or a vector of numbers between `low` and `high`.

    sizes: options of every category; () for numbers. A row of categories is int64 [len(sizes)], counted from 0; a row
    of numbers is float32 [len(low)].
    """

    space: spaces.Space[Any]
    sizes: tuple[int, ...]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @property
    def continuous(self) -> bool:
        """Whether actions are numbers rather than categories."""
        return not self.sizes

    @property
    def columns(self) -> int:
        """Numbers in a row."""
        return len(self.sizes) or len(self.low)

    @property
    def mask_size(self) -> int:
        """Options of all categories together, the columns of a mask of legal actions; 0 for numbers."""
        return sum(self.sizes)

    def to_environment(self, row: NDArray[Any]) -> Any:
        """The action of one row, as `Env.step` takes it. Numbers are clipped to the bounds."""
        space = self.space
        if isinstance(space, spaces.Discrete):
            return space.start + row[0]
        if isinstance(space, spaces.Box):
            return np.clip(row, self.low, self.high).reshape(space.shape).astype(space.dtype, copy=False)
        if isinstance(space, spaces.MultiDiscrete):
            row = row + np.ravel(np.asarray(getattr(space, "start", 0)))
        return row.reshape(space.shape).astype(space.dtype)

    def to_batch(self, rows: NDArray[Any]) -> Any:
        """The actions of N rows, as `VectorEnv.step` takes them."""
        space = self.space
        if isinstance(space, spaces.Discrete):
            return (space.start + rows[:, 0]).astype(space.dtype)
        if isinstance(space, spaces.Box):
            return np.clip(rows, self.low, self.high).reshape(-1, *space.shape).astype(space.dtype, copy=False)
        if isinstance(space, spaces.MultiDiscrete):
            rows = rows + np.ravel(np.asarray(getattr(space, "start", 0)))
        assert space.shape is not None
        return rows.reshape(-1, *space.shape).astype(space.dtype)


def action_spec(space: spaces.Space[Any]) -> ActionSpec:
    """The actions of a space. Raises UserError for a space that is not supported."""
    none = np.zeros(0, np.float32)
    if isinstance(space, spaces.Discrete):
        return ActionSpec(space, (int(space.n),), none, none)
    if isinstance(space, spaces.MultiDiscrete):
        return ActionSpec(space, tuple(int(n) for n in np.ravel(space.nvec)), none, none)
    if isinstance(space, spaces.MultiBinary):
        return ActionSpec(space, (2,) * int(np.prod(space.shape)), none, none)
    if isinstance(space, spaces.Box) and space.dtype is not None and space.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a bound beyond float32 is infinite: no action reaches it
            low, high = (np.ravel(bound).astype(np.float32) for bound in (space.low, space.high))
        return ActionSpec(space, (), low, high)
    found = f"Box of {space.dtype}" if isinstance(space, spaces.Box) else type(space).__name__
    raise UserError(
        f"the action space is a {found}, which is not supported; supported are Discrete, MultiDiscrete, MultiBinary "
        "and Box of floating-point numbers"
    )
