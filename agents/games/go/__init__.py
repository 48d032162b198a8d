"""Go: rules, scores and text."""

from agents.games.go.game import Go, GoState

__all__ = ["Go", "GoState"]
