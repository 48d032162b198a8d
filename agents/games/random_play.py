"""Uniformly random play on B boards that start anew where a game is over, to measure the speed of rules."""

from typing import Any

import torch

from agents.games.game import Game, where


class RandomPlay:
    """B boards. Each call plays one random legal move on every board; `state` holds the boards."""

    def __init__(self, game: Game, batch: int, device: torch.device, seed: int = 0) -> None:
        self.game, self.batch = game, batch
        self._fresh = game.initial(batch, device)
        self._generator = torch.Generator(device).manual_seed(seed)
        self.state: Any = self._fresh

    def __call__(self) -> None:
        actions = self.game.legal_actions(self.state)
        number = torch.rand(self.batch, generator=self._generator, device=actions.device) * (actions >= 0).sum(1)
        state = self.game.step(self.state, actions.gather(1, number.long()[:, None])[:, 0])
        self.state = where(self.game.done(state), self._fresh, state)
