"""Exact play of small games as a player."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from agents.arena.minimax import Solution, solve
from agents.arena.players import random_actions, to_device
from agents.arena.positions import CPU
from agents.games.game import Game
from lab import rng

MAX_POSITIONS = 200_000  # of a game that is solved at the start of a match


class MinimaxPlayer:
    """Plays a random one of the moves with the best exact score: the fastest win, else a draw, else the slowest loss.

    The whole game is solved when the player is made. Raises UserError for a game of too many positions.
    """

    def __init__(self, game: Game, seed: int = 0, name: str = "minimax") -> None:
        self.game, self.seed, self._name = game, seed, name
        self._solution: Solution = solve(game, MAX_POSITIONS)

    @property
    def name(self) -> str:
        return self._name

    def choose(self, state: Any, game_ids: Tensor, plies: Tensor) -> Tensor:
        keys, order = self._table
        position = order[torch.searchsorted(keys, self._keys(to_device(state, CPU))).clamp_max(len(keys) - 1)]
        children = self._solution.children[position]
        scores = torch.where(children >= 0, -self._solution.score[children.clamp_min(0)], torch.iinfo(torch.int64).min)
        best = (scores == scores.amax(1, keepdim=True)) & (children >= 0)
        chosen = random_actions(best, self.seed, int(rng.Stream.RANDOM_PLAYER), game_ids.cpu(), plies.cpu())
        return chosen.to(game_ids.device)

    def _keys(self, state: Any) -> Tensor:
        """int64 [B]; the score of a position depends on its plies as well, since a sooner win scores more."""
        return rng.random_bits(0, self.game.key(state), self.game.plies(state))

    @cached_property
    def _table(self) -> tuple[Tensor, Tensor]:
        """The keys of all positions in ascending order, and the numbers of the positions."""
        keys, order = self._keys(self._solution.states).sort()
        return keys, order
