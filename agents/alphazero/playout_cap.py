"""Playout cap randomization: a random share of self-play's moves has a full search, the others a cheap one.

Few simulations per move give many games and so many outcomes, which the value learns from; many simulations give good
policies. Both are had by searching only some moves fully and training the policy on these alone (Wu 2019, section 3.1).
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from agents.search import Root, RootSearch, SearchResult
from lab import rng


def is_full_search(fraction: float, seed: int, game_id: Tensor, ply: Tensor) -> Tensor:
    """bool `[B]`: whether a move is searched fully, with probability `fraction`. game_id, ply: int64 `[B]`."""
    return rng.uniform(seed, int(rng.Stream.PLAYOUT_CAP), game_id, ply) < fraction


@dataclass(frozen=True, kw_only=True)
class CappedSearch:
    """Each root is searched by `full` or by `cheap`, in two batches whose results are merged.

    fraction: probability of a full search. cheap_temperature: factor of the temperature of cheap searches.
    """

    full: RootSearch
    cheap: RootSearch
    fraction: float
    cheap_temperature: float = 0.0

    def __call__(self, root: Root, *, dynamics: Any, seed: int, temperature: Tensor | float) -> SearchResult:
        """Search B roots. temperature: a number or float32 `[B]`. The sizes of the batches wait for the device."""
        full = is_full_search(self.fraction, seed, root.game_id, root.ply)
        merged: list[Tensor] | None = None
        for search, mask, factor in ((self.full, full, 1.0), (self.cheap, ~full, self.cheap_temperature)):
            rows = mask.nonzero()[:, 0]
            if not len(rows):
                continue
            of_rows = temperature.index_select(0, rows) if isinstance(temperature, Tensor) else temperature
            found = search(root.rows(rows), dynamics=dynamics, seed=seed, temperature=of_rows * factor)
            if len(rows) == len(mask):
                return found
            merged = merged or [field.new_empty((len(mask), *field.shape[1:])) for field in found]
            for whole, part in zip(merged, found, strict=True):
                whole[rows] = part
        assert merged is not None
        return SearchResult(*merged)
