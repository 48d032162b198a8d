"""Batched Monte-Carlo tree search (MCTS): one loop, composed into Gumbel AlphaZero and PUCT."""

from agents.search.gumbel import GumbelSearch
from agents.search.puct import PuctSearch
from agents.search.root import Root, SearchResult

Search = GumbelSearch | PuctSearch

__all__ = ["GumbelSearch", "PuctSearch", "Root", "Search", "SearchResult"]
