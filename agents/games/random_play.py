"""Uniformly random play on B boards that start anew where a game is over, to measure the speed of rules."""

from typing import Any

import torch
from torch import Tensor

from agents.games.game import Game, where


class RandomPlay:
    """B boards. Each call plays one random legal move on every board; `state` holds the boards."""

    def __init__(self, game: Game, batch: int, device: torch.device, seed: int = 0) -> None:
        self.game, self.batch, self._device = game, batch, device
        self._fresh = game.initial(batch, device)
        self._generator = torch.Generator(device).manual_seed(seed)
        self.state: Any = self._fresh

    def __call__(self) -> None:
        state = self.game.step(self.state, self._choice())
        self.state = where(self.game.done(state), self._fresh, state)

    def _choice(self) -> Tensor:
        """int64 [B]: a legal action of each board."""
        part = torch.rand(self.batch, 1, generator=self._generator, device=self._device)
        if self.game.num_slots == self.game.num_actions:  # such games have a mask; see `Game.legal_actions`
            count = self.game.legal(self.state).cumsum(1)
            number = (part * count[:, -1:]).long()
            return torch.searchsorted(count, number, right=True)[:, 0]
        actions = self.game.legal_actions(self.state)
        return actions.gather(1, (part * (actions >= 0).sum(1, keepdim=True)).long())[:, 0]
