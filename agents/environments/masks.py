"""Masks of legal actions as environments give them, as rows of booleans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.environments.observations import MASK
from lab.errors import UserError


def legal_options(mask: Any, size: int) -> NDArray[np.bool_]:
    """A mask [M] from what an environment gives: one array, or a tuple of arrays, one for each category."""
    if mask is None:
        raise UserError("it gave an action mask before and none now; a mask must come with every observation")
    if isinstance(mask, tuple | list):
        mask = np.concatenate([np.ravel(part) for part in mask])
    entries = np.ravel(np.asarray(mask))
    if entries.dtype.kind == "f" and not np.isfinite(entries).all():
        raise UserError("its action mask holds numbers that are not finite; entries are 1 or 0, or true or false")
    found = entries.astype(np.bool_)
    if len(found) != size:
        raise UserError(f"its action mask has {len(found)} entries, and its actions have {size} options")
    return found


def check_legal(masks: NDArray[np.bool_], sizes: Sequence[int]) -> None:
    """Raise UserError if a mask [n, M] allows no option of a category; sizes: options of each category."""
    if len(sizes) == 1:
        some = masks.any(1)
    else:
        some = np.logical_or.reduceat(masks, np.cumsum([0, *sizes[:-1]]), axis=1).all(1)
    if not some.all():
        what = "action" if len(sizes) == 1 else "option of one of its actions"
        raise UserError(f"its action mask allows no {what}; an episode without legal actions must end")


def legal_options_of_all(mask: Any, count: int, size: int) -> NDArray[np.bool_]:
    if isinstance(mask, np.ndarray) and mask.dtype.kind in "biu" and mask.shape == (count, size):
        return mask.astype(np.bool_)
    if isinstance(mask, tuple):  # a tuple space is batched as a tuple of arrays [N, options]
        mask = [tuple(part[row] for part in mask) for row in range(count)]
    rows: Sequence[Any] = [None] * count if mask is None else mask
    return np.stack([legal_options(row, size) for row in rows])


def merged_masks(before: Mapping[str, Any], after: Mapping[str, Any], reset: NDArray[np.bool_]) -> dict[str, Any]:
    """The masks after a partial reset: new ones for the rows that were reset."""
    if MASK not in after or MASK not in before:
        return dict(after)
    merged = np.array(before[MASK])
    merged[reset] = np.asarray(after[MASK])[reset]
    return {**after, MASK: merged}
