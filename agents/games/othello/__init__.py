"""Othello as batched tensors."""

from agents.games.othello.game import Othello, OthelloState

__all__ = ["Othello", "OthelloState"]
