"""Evaluation cache: positions that were evaluated with the current weights."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lab import jit

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Observations float32 [N, C, H, W] -> (policy logits float32 [N, A], value float32 [N] in [-1, 1])."""

_EMPTY = -1


class Lookup(NamedTuple):
    """Result of a lookup of B positions.

    logits: float32 `[B, K]` and value: float32 `[B]`, valid in rows that were found.
    missing: int64 `[N]`, rows to evaluate; two rows have the same position only if a third row took their slot.
    duplicates: int64 `[T]`, further rows, each with the position of one of the missing rows.
    duplicate_of: int64 `[T]`, those missing rows.
    """

    logits: Tensor
    value: Tensor
    missing: Tensor
    duplicates: Tensor
    duplicate_of: Tensor


class EvaluationCache:
    """Direct-mapped hash table that always replaces; an entry's place is its key's low bits.

    The number of missing rows is read on the host, so this is for the CPU; a GPU evaluates full batches instead.
    """

    def __init__(self, slots: int, width: int, device: torch.device) -> None:
        """slots: entries, a power of two; width: logits of an entry, K."""
        if slots < 1 or slots & (slots - 1):
            raise ValueError(f"slots must be a power of two, not {slots}")
        self._keys = torch.full((slots,), _EMPTY, dtype=torch.int64, device=device)
        self._logits = torch.zeros(slots, width, device=device)
        self._value = torch.zeros(slots, device=device)
        self._claims = torch.zeros(slots, dtype=torch.int64, device=device)

    @staticmethod
    def entry_bytes(width: int) -> int:
        """Bytes of an entry: key, logits, value and claim."""
        return 8 + 4 * width + 4 + 8

    def clear(self) -> None:
        """Remove all entries; call it when the weights change."""
        self._keys.fill_(_EMPTY)

    def lookup(self, keys: Tensor, wanted: Tensor) -> Lookup:
        """Look up B positions. keys: int64 `[B]`; wanted: bool `[B]`, rows whose evaluation is needed."""
        if self._compiled(keys):
            return self._look_up(keys, wanted)
        slot = keys & (len(self._keys) - 1)
        logits, value = self._logits.index_select(0, slot), self._value.index_select(0, slot)
        missing = (wanted & (self._keys.index_select(0, slot) != keys)).nonzero()[:, 0]
        # Equal keys claim the same slot and the lowest row wins; amin does not depend on the number of threads.
        slot = slot.index_select(0, missing)
        self._claims.scatter_reduce_(0, slot, missing, "amin", include_self=False)
        winner = self._claims.index_select(0, slot)
        duplicate = (winner != missing) & (keys.index_select(0, winner) == keys.index_select(0, missing))
        return Lookup(logits, value, missing[~duplicate], missing[duplicate], winner[duplicate])

    def complete(self, found: Lookup, keys: Tensor, logits: Tensor, value: Tensor) -> None:
        """Store the evaluations of the missing rows and write them into the lookup's.

        keys: int64 `[B]`, those of the lookup. logits: float32 `[N, K]` and value: float32 `[N]`, of the missing rows.
        """
        if self._compiled(keys):
            self._complete(found, keys, logits, value)
            return
        self.store(keys.index_select(0, found.missing), logits, value)
        found.logits[found.missing] = logits
        found.value[found.missing] = value
        found.logits[found.duplicates] = found.logits[found.duplicate_of]
        found.value[found.duplicates] = found.value[found.duplicate_of]

    def store(self, keys: Tensor, logits: Tensor, value: Tensor) -> None:
        """Store evaluations: keys int64 `[N]`, logits `[N, K]`, value `[N]`."""
        slot = keys & (len(self._keys) - 1)
        # The lowest row of a slot is stored. With several threads, indexed writes of all rows could mix the key of one
        # row with the logits of another.
        rows = torch.arange(len(keys), device=keys.device)
        self._claims.scatter_reduce_(0, slot, rows, "amin", include_self=False)
        winner = self._claims.index_select(0, slot)
        self._keys[slot] = keys.index_select(0, winner)
        self._logits[slot] = logits.index_select(0, winner)
        self._value[slot] = value.index_select(0, winner)

    def _compiled(self, keys: Tensor) -> bool:
        return keys.device.type == "cpu" and jit.available(len(keys))

    def _look_up(self, keys: Tensor, wanted: Tensor) -> Lookup:
        from agents.search.kernels import table

        batch = len(keys)
        logits, value = torch.empty(batch, self._logits.shape[1]), torch.empty(batch)
        rows = [torch.empty(batch, dtype=torch.int64) for _ in range(3)]
        stored = (self._keys, self._logits, self._value, self._claims)
        arrays = (keys.contiguous(), wanted.contiguous(), *stored, logits, value, *rows)
        fresh, repeated = table.look_up(*(array.numpy() for array in arrays))
        missing, duplicates, duplicate_of = rows
        return Lookup(logits, value, missing[:fresh], duplicates[:repeated], duplicate_of[:repeated])

    def _complete(self, found: Lookup, keys: Tensor, logits: Tensor, value: Tensor) -> None:
        from agents.search.kernels import table

        new = (field.detach().to(torch.float32).contiguous() for field in (logits, value))
        stored = (self._keys, self._logits, self._value)
        arrays = (
            keys.contiguous(),
            found.missing,
            *new,
            *stored,
            found.duplicates,
            found.duplicate_of,
            found.logits,
            found.value,
        )
        table.complete(*(array.numpy() for array in arrays))
