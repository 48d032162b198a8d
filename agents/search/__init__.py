"""Batched Monte-Carlo tree search (MCTS): one loop, composed into Gumbel AlphaZero and PUCT."""

from typing import Any, Protocol

from torch import Tensor

from agents.search.gumbel import GumbelSearch
from agents.search.puct import PuctSearch
from agents.search.root import Root, SearchResult

Search = GumbelSearch | PuctSearch


class RootSearch(Protocol):
    """What self-play needs of a search; `Search` is one."""

    def __call__(self, root: Root, *, dynamics: Any, seed: int, temperature: Tensor | float) -> SearchResult:
        """Decisions for B roots."""
        ...


__all__ = ["GumbelSearch", "PuctSearch", "Root", "RootSearch", "Search", "SearchResult"]
