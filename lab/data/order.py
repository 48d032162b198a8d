"""The order of training data as a pure function of a counter, so that exact resume needs no other state."""

import numpy as np


def indices(size: int, seed: int, start: int, count: int) -> np.ndarray:
    """Items `start` to `start + count` of endless shuffled epochs over `size` items, int64 [count].

    Every epoch is a permutation drawn from a generator keyed by (seed, epoch).
    """
    parts = []
    while count > 0:
        epoch, offset = divmod(start, size)
        taken = min(count, size - offset)
        parts.append(_epoch(size, seed, epoch)[offset : offset + taken])
        start, count = start + taken, count - taken
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


_latest: dict[tuple[int, int, int], np.ndarray] = {}  # a permutation of a million items per batch would be slow


def _epoch(size: int, seed: int, epoch: int) -> np.ndarray:
    key = (size, seed, epoch)
    found = _latest.get(key)
    if found is None:
        if len(_latest) >= 4:
            _latest.clear()
        generator = np.random.Generator(np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)))
        found = _latest[key] = generator.permutation(size)
    return found
