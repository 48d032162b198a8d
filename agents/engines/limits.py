"""Limits of an external engine."""

from dataclasses import dataclass

START_S = 30.0
"""Seconds for an engine to start, and to answer commands that need no thought."""


@dataclass(frozen=True)
class Limits:
    """How long an engine thinks about a move.

    nodes, depth: of its search (UCI). movetime_ms: time for a move. timeout_s: how much later than its time an answer
    may come; an engine without an answer by then has lost the game.
    """

    nodes: int | None = None
    depth: int | None = None
    movetime_ms: int | None = None
    timeout_s: float = 60.0

    @property
    def answer_s(self) -> float:
        """Seconds within which a move must come."""
        return self.timeout_s + (self.movetime_ms or 0) / 1000
