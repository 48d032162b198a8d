"""Breakthrough: pawns that step forward and capture diagonally race for the other side of the board."""

from agents.games.breakthrough.game import Breakthrough, BreakthroughState

__all__ = ["Breakthrough", "BreakthroughState"]
