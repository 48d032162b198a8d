"""A game that was played, with what is known about it: the content of an SGF or PGN file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from agents.games.game import Game

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class PlayedGame:
    """Moves from a position, the players and the result.

    start: the state before the first move (B = 1, on the CPU), from `Game.initial` unless stones are set up.
    actions: the moves. values: expected outcome in [-1, 1] of each move for its player after search; None where it is
    not known; empty for none. comments: of each move, "" for none; empty for none.
    players: names of player 0 and player 1. winner: player who won a game that did not end on the board.
    ending: how such a game ended, such as "resignation" or "time"; "" for a game that ended on the board or was not
    finished. event, date (2026-11-29), round: as in the tags of PGN.
    """

    game: Game
    start: Any
    actions: Sequence[int]
    values: Sequence[float | None] = ()
    comments: Sequence[str] = ()
    players: tuple[str, str] = ("", "")
    winner: int | None = None
    ending: str = ""
    event: str = ""
    date: str = ""
    round: str = ""

    def states(self) -> Iterator[Any]:
        """The states before each move, then the last one; B = 1."""
        state = self.start
        yield state
        for action in self.actions:
            state = self.game.step(state, torch.tensor([action]))
            yield state

    def value(self, ply: int) -> float | None:
        """The value of a move; None where it is not known."""
        return self.values[ply] if ply < len(self.values) else None

    def comment(self, ply: int) -> str:
        """The value and the comment of a move in words; "" for neither."""
        value = self.value(ply)
        words = [] if value is None else [f"value {value:+.2f} ({(value + 1) / 2:.0%})"]
        comment = self.comments[ply] if ply < len(self.comments) else ""
        return "; ".join([*words, comment] if comment else words)

    def result(self, last: Any) -> float | None:
        """1, 0 or -1 for player 0; None for a game without a result. last: the state after the moves."""
        if bool(self.game.done(last)[0]):
            return float(self.game.reward(last)[0, 0])
        if self.winner is not None:
            return 1.0 - 2.0 * self.winner
        return 0.0 if self.ending else None

    def from_first_position(self) -> bool:
        """Whether the game begins at the first position of its rules."""
        first = self.game.initial(1, CPU)
        return all(torch.equal(a, b) for a, b in zip(self.start, first, strict=True))

    def with_opening(self, opening: "PlayedGame") -> "PlayedGame":
        """The game with the moves of `opening`, which ends where this one begins, before its own."""
        none: list[float | None] = [None] * len(opening.actions)
        return replace(
            self,
            start=opening.start,
            actions=[*opening.actions, *self.actions],
            values=[*none, *self.values] if self.values else (),
            comments=["opening" for _ in none] + [*self.comments] if self.comments else (),
        )
