"""Kernels of `agents.search.cache.EvaluationCache`: one pass for a lookup, one for a store."""

import numpy as np
from numpy.typing import NDArray

from lab.jit import kernel

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_UNCLAIMED = -1


@kernel
def look_up(
    keys: Integers,
    wanted: NDArray[np.bool_],
    stored_keys: Integers,
    stored_logits: Floats,
    stored_value: Floats,
    claims: Integers,
    logits: Floats,
    value: Floats,
    missing: Integers,
    duplicates: Integers,
    duplicate_of: Integers,
) -> tuple[int, int]:
    """Copy what is stored for the keys [B]; returns the numbers of missing rows and of duplicates.

    Written: logits [B, K] and value [B]; missing, duplicates and duplicate_of [B], as far as these numbers say.
    claims: int64 [slots], overwritten.
    """
    last, width = stored_keys.size - 1, logits.shape[1]
    for row in range(keys.size):
        slot = keys[row] & last
        claims[slot] = _UNCLAIMED
        value[row] = stored_value[slot]
        for k in range(width):
            logits[row, k] = stored_logits[slot, k]
    fresh = repeated = 0
    for row in range(keys.size):
        slot = keys[row] & last
        if not wanted[row] or stored_keys[slot] == keys[row]:
            continue
        first = claims[slot]
        if first == _UNCLAIMED:
            claims[slot] = row
        if first != _UNCLAIMED and keys[first] == keys[row]:
            duplicates[repeated], duplicate_of[repeated] = row, first
            repeated += 1
        else:
            missing[fresh] = row
            fresh += 1
    return fresh, repeated


@kernel
def complete(
    keys: Integers,
    missing: Integers,
    new_logits: Floats,
    new_value: Floats,
    stored_keys: Integers,
    stored_logits: Floats,
    stored_value: Floats,
    duplicates: Integers,
    duplicate_of: Integers,
    logits: Floats,
    value: Floats,
) -> None:
    """Store the evaluations [N, K] and [N] of rows `missing`, and write them into these rows and their duplicates.

    Of several missing rows with one slot the first is stored.
    """
    last, width = stored_keys.size - 1, logits.shape[1]
    for index in range(missing.size - 1, -1, -1):
        row = missing[index]
        slot = keys[row] & last
        stored_keys[slot] = keys[row]
        stored_value[slot] = value[row] = new_value[index]
        for k in range(width):
            stored_logits[slot, k] = logits[row, k] = new_logits[index, k]
    for index in range(duplicates.size):
        row, same = duplicates[index], duplicate_of[index]
        value[row] = value[same]
        for k in range(width):
            logits[row, k] = logits[same, k]
