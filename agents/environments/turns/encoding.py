"""Observations as planes of a board: bits, one-hot values, and numbers that are the same in all cells.

A box of two or three dimensions is a board [C, H, W] (`channels_last` says which axis is C). Whole numbers with few
values become one plane of bits per value. Everything else (vectors, nested spaces, boards of other
numbers) becomes a board of one cell with a plane per number, for fully connected heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.environments.observations import MASK, VECTOR, ObservationCodec, channels_last
from lab.errors import UserError

_MOST_VALUES = 32
"""Values of a whole number on a board that become planes of bits."""


class Code(NamedTuple):
    """An encoded observation: bits packed as numpy.packbits uint8 [ceil(n / 8)], and numbers float32 [P]."""

    bits: NDArray[np.uint8]
    numbers: NDArray[np.float32]


class PlaneEncoder:
    """Encodes observations of one space. Raises UserError for one that is not like the samples.

    shape: (C, H, W) of the planes, those of bits first. number_planes: of the last planes, one number each.
    """

    def __init__(self, space: spaces.Space[Any], samples: Sequence[Any] | NDArray[Any]) -> None:
        """samples: observations of random games, which show what the bounds of the space do not say."""
        seen: spaces.Space[Any] = space
        if isinstance(space, spaces.Dict) and set(space.spaces) == {"observation", MASK}:
            seen = space["observation"]
        self._space, self._key = seen, None if seen is space else "observation"
        self._box = seen if isinstance(seen, spaces.Box) and len(seen.shape) in (2, 3) else None
        self._codec = ObservationCodec(seen) if self._box is None else None
        self._flat = False
        self._values: NDArray[Any] | None = None
        raw = np.stack([self._raw(sample) for sample in samples])
        bounded = False
        if self._box is not None:
            low, high = float(np.min(self._box.low)), float(np.max(self._box.high))
            whole = self._box.dtype is not None and self._box.dtype.kind in "iub" and high - low < _MOST_VALUES
            bounded = whole and low >= 0.0 and high <= 1.0
            if whole and not bounded:
                self._values = np.arange(int(low), int(high) + 1)
            elif not bounded and not _planes_of_bits_or_one_number(raw):
                self._flat, raw = True, raw.reshape(len(raw), -1, 1, 1)
        channels, height, width = raw.shape[1:]
        if self._values is not None:
            channels, bounded = channels * len(self._values), True
        self._is_bit = np.ones(channels, np.bool_)
        if not bounded:
            self._is_bit = np.array([_all_bits(raw[:, channel]) for channel in range(channels)])
        self._all_bits = bool(self._is_bit.all())
        self.shape = (channels, height, width)
        self.number_planes = int((~self._is_bit).sum())
        largest = 0.0 if self._box is None else float(np.max(np.abs([self._box.low, self._box.high])))
        self._scale = np.float32(1.0 / largest) if 0.0 < largest < np.inf else np.float32(1.0)

    def __call__(self, observation: Any) -> Code:
        """Encode one observation."""
        raw = self._raw(observation)
        if self._values is not None:
            found = raw[:, None] == self._values[:, None, None]
            if not found.any(1).all():
                raise UserError(f"an observation is outside its space: {raw.ravel()[:8].tolist()} ...")
            return Code(np.packbits(found), _NO_NUMBERS)
        bits = raw if self._all_bits else raw[self._is_bit]
        flags = bits.astype(np.bool_)
        if bits.dtype != np.bool_ and not np.array_equal(flags, bits):
            raise UserError(
                f"an observation holds {float(bits[flags != bits].flat[0]):g} where those of random games hold 0 and 1 "
                "alone; the bounds of its space must say so"
            )
        if self._all_bits:
            return Code(np.packbits(flags), _NO_NUMBERS)
        planes = raw[~self._is_bit]
        if not (planes == planes[:, :1, :1]).all():
            raise UserError(
                "an observation differs from cell to cell in a plane that random games fill with one number"
            )
        numbers = planes[:, 0, 0].astype(np.float32) * self._scale + np.float32(0.0)  # the sum has no negative zero
        if not np.isfinite(numbers).all():
            raise UserError("an observation holds a number that is not finite")
        return Code(np.packbits(flags), numbers)

    def __getstate__(self) -> dict[str, Any]:
        """Without the codec, whose functions cannot be sent to another process."""
        return {**vars(self), "_codec": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._codec = ObservationCodec(self._space) if self._box is None else None

    def _raw(self, observation: Any) -> NDArray[Any]:
        """The observation as [C, H, W] of any type."""
        seen = observation if self._key is None else observation[self._key]
        if self._box is None:
            assert self._codec is not None
            arrays = self._codec.empty(1)
            self._codec.write(seen, arrays, 0)
            names = [VECTOR, *(image.name for image in self._codec.images)]
            return np.concatenate([arrays[name][0].ravel() for name in names if name in arrays])[:, None, None]
        board = np.asarray(seen)
        if board.shape != self._box.shape:
            raise UserError(f"an observation has shape {list(board.shape)}, and its space says {list(self._box.shape)}")
        if self._flat:
            return board.reshape(-1, 1, 1)
        if board.ndim == 2:
            return board[None]
        return board.transpose(2, 0, 1) if channels_last(board.shape) else board


_NO_NUMBERS = np.zeros(0, np.float32)


def _planes_of_bits_or_one_number(raw: NDArray[Any]) -> bool:
    """Whether each channel of [N, C, H, W] holds bits, or one number in all cells of a board."""
    constant = (raw == raw[:, :, :1, :1]).all((0, 2, 3))
    return all(constant[channel] or _all_bits(raw[:, channel]) for channel in range(raw.shape[1]))


def _all_bits(values: NDArray[Any]) -> bool:
    return bool(((values == 0) | (values == 1)).all())
