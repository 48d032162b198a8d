"""How long to think: budgets of a search, and the time of a move on a clock."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from agents.games.game import Game
from agents.search.growing import GrowingTree

OVERHEAD_S = 0.05
"""Seconds of each move that are kept back for the client and the time between two looks at the clock."""
_LARGEST_SHARE = 0.5  # of the time left, for one of several moves
_INCREMENT_SHARE = 0.75
_CHESS_MOVES, _FEWEST_MOVES, _MOST_MOVES = 30, 8, 60  # of one player, to the end of the game
_DEPTH_COST = 100
_LOOK_EVERY = 16  # simulations between two looks at whether the move is settled


@dataclass(frozen=True)
class Clock:
    """A player's clock.

    left_s: seconds left. increment_s: seconds that each move adds. moves: moves until the time is renewed, None for the
    whole game.
    """

    left_s: float
    increment_s: float = 0.0
    moves: int | None = None

    def allowance_s(self, expected_moves: int, overhead_s: float = OVERHEAD_S) -> float:
        """Seconds for the next move, 0 or more; expected_moves: of this player to the end of the game."""
        left = max(self.left_s - overhead_s, 0.0)
        moves = max(self.moves or expected_moves, 1)
        share = left / moves + _INCREMENT_SHARE * self.increment_s
        return min(share, left if moves == 1 else _LARGEST_SHARE * left)


def expected_moves(game: Game, plies: int) -> int:
    """Moves that a player still has to make, as a guess for the clock.

    Games that fill a board have a known length; most end before. In chess it is always the same number.
    """
    if game.name == "chess":
        return _CHESS_MOVES
    _, rows, columns = game.observation_shape
    return min(max((min(game.max_plies, rows * columns) - plies) // 2, _FEWEST_MOVES), _MOST_MOVES)


class Budget:
    """When a search is over. At least one limit should be given.

    simulations, seconds, depth: the search ends with the first that it reaches. depth: moves of the expected line;
    where the game ends before, the search ends after `_DEPTH_COST` simulations for each.
    held: it does not end at all before `release`: analysis, pondering. The seconds count from the release.
    on_clock: time that is not used is kept for later moves, so that the search ends as soon as its answer is settled.
    """

    def __init__(
        self,
        *,
        simulations: int | None = None,
        seconds: float | None = None,
        depth: int | None = None,
        held: bool = False,
        on_clock: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.simulations, self.seconds, self.depth, self.held, self.on_clock = (
            simulations, seconds, depth, held, on_clock
        )  # fmt: skip
        self._now = now
        self.began = self._released = now()

    def release(self) -> None:
        """Let the limits count from now on."""
        self.held = False
        self._released = self._now()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the search began."""
        return self._now() - self.began

    def spent(self, tree: GrowingTree) -> bool:
        """Whether the search is over."""
        if self.held:
            return False
        if tree.full or (self.simulations is not None and tree.simulations >= self.simulations):
            return True
        if tree.simulations == 0:
            return False  # an engine out of time still answers with a move that it looked at
        used = self._now() - self._released
        if self.seconds is not None and used >= self.seconds:
            return True
        if self.on_clock and self._settled(tree, used):
            return True
        if self.depth is None:
            return False
        reached = tree.deepest >= self.depth and len(tree.lines(1, self.depth)[0].actions) >= self.depth
        return reached or tree.simulations >= _DEPTH_COST * self.depth

    def _settled(self, tree: GrowingTree, used: float) -> bool:
        if tree.choices == 1:
            return True
        if tree.simulations % _LOOK_EVERY:
            return False
        left = math.inf if self.simulations is None else float(self.simulations - tree.simulations)
        if self.seconds is not None and used > 0:
            left = min(left, (self.seconds - used) * tree.simulations / max(self.elapsed_s, 1e-6))
        return tree.settled(left)
