"""A game as it was played: the first position and the actions from there."""

from dataclasses import dataclass, field
from typing import Any

import torch

from agents.games.game import Game

CPU = torch.device("cpu")


@dataclass
class Line:
    """One game. start: state with B = 1 on the CPU, before the opening's moves. actions: those of both players.

    The state after them and the names of moves are computed when they are asked for, and only once for each move.
    """

    game: Game
    start: Any
    actions: list[int] = field(default_factory=list)
    _state: Any = field(default=None, init=False, repr=False)
    _names: list[str] = field(default_factory=list, init=False, repr=False)

    @property
    def state(self) -> Any:
        """The state after all actions, B = 1."""
        self._follow()
        return self.start if self._state is None else self._state

    @property
    def names(self) -> list[str]:
        """The names of the moves, as `move_name` gives them."""
        self._follow()
        return list(self._names)

    def _follow(self) -> None:
        for action in self.actions[len(self._names) :]:
            state = self.start if self._state is None else self._state
            self._names.append(self.game.move_name(state, action))
            self._state = self.game.step(state, torch.tensor([action]))
