"""Batched tree search: one loop, composed into Gumbel AlphaZero and PUCT."""

from agents.search.gumbel import GumbelSearch
from agents.search.puct import PuctSearch
from agents.search.result import SearchResult

__all__ = ["GumbelSearch", "PuctSearch", "SearchResult"]
