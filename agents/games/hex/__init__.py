"""Hex as batched tensors."""

from agents.games.hex.game import Hex, HexState

__all__ = ["Hex", "HexState"]
