"""Chess as batched tensors."""

from agents.games.chess.game import Chess, chess

__all__ = ["Chess", "chess"]
