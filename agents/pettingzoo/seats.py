"""Players of a match inside an environment: trained agents with rules of their own, and PettingZoo's policies.

The environment is the referee: it says which moves are legal, when the game is over and who has won.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.arena.players import AgentLike, to_device
from agents.environments.faults import described
from agents.environments.make import PARALLEL_PREFIX
from agents.games.game import where
from agents.games.registry import make
from agents.pettingzoo.game import LineState, PettingZooGame
from lab.config import yaml_values
from lab.errors import UserError

AnyPolicy = Callable[[Mapping[str, NDArray[Any]]], int]
"""Observation of the agent to move, with `observation` and `action_mask` -> action, as the environment numbers them."""


def referee(text: str) -> PettingZooGame:
    """The environment of a text such as "pettingzoo:pettingzoo.classic.go_v5,board_size=5". Raises UserError."""
    env, *options = text.removeprefix(PARALLEL_PREFIX).split(",")
    arguments = yaml_values.parse_options(options, "an environment", "board_size=5")
    game = make("pettingzoo", env=env, **arguments)
    assert isinstance(game, PettingZooGame)
    return game


@dataclass(frozen=True)
class SeatedAgent:
    """A trained agent that plays in an environment.

    An agent that was trained in this environment searches it. Any other plays the moves in its own game, whose actions
    must have the environment's numbers, and searches there. Its legal moves are compared with the environment's at
    every move.
    """

    agent: AgentLike
    simulations: int
    referee: PettingZooGame

    def __post_init__(self) -> None:
        own, needed = self.agent.game.num_actions, self.referee.num_actions
        if own != needed:
            raise UserError(
                f"{self.agent.name} plays {self.agent.game.name} with {own:,} actions, and environment "
                f"{self.referee.rules.profile.name} has {needed:,}; the numbers of the actions must be the same"
            )

    @property
    def name(self) -> str:
        return f"{self.agent.name}@{self.simulations}"

    def choose(self, state: LineState, game_ids: Tensor, plies: Tensor) -> Tensor:
        """Actions int64 [B]. Raises UserError where the agent's rules and the environment's differ."""
        game = self.agent.game
        if isinstance(game, PettingZooGame) and game.options == self.referee.options:
            own: Any = to_device(state, self.agent.device)
        else:
            own = self._replayed(state)
        return self.agent.decide(own, self.simulations).action.to(game_ids.device)

    def _replayed(self, state: LineState) -> Any:
        """The positions in the agent's own game."""
        game, device = self.agent.game, self.agent.device
        moves, plies = state.moves.to(device), state.plies.to(device)
        own = game.initial(len(plies), device)
        for ply in range(int(plies.max()) if len(plies) else 0):
            after = game.step(own, moves[:, ply + 1].to(torch.int64).clamp_min(0))
            own = where(ply < plies, after, own)
        differ = (game.legal(own) != self.referee.legal(state).to(device)).any(1).nonzero()[:, 0]
        if len(differ):
            row = int(differ[0])
            line = " ".join(map(str, moves[row, 1 : int(plies[row]) + 1].tolist())) or "none"
            raise UserError(
                f"{self.agent.name} and environment {self.referee.rules.profile.name} have other legal moves after the "
                f"moves {line}: their rules, or the numbers of their actions, differ"
            )
        return own


@dataclass(frozen=True)
class SeatedPolicy:
    """A policy of PettingZoo: any function of the agent's observation, such as `agents.pettingzoo.Policy`."""

    policy: AnyPolicy
    referee: PettingZooGame
    name: str = "policy"

    def choose(self, state: LineState, game_ids: Tensor, plies: Tensor) -> Tensor:
        """Actions int64 [B]. Raises UserError for a policy that raises or plays an illegal move."""
        start = self.referee.rules.profile.agents.start
        chosen = [int(self._action(seen)) - start for seen in self.referee.seen(state)]
        action = torch.tensor(chosen, dtype=torch.int64, device=game_ids.device)
        legal = self.referee.legal(state).cpu().numpy()
        for row, (move, allowed) in enumerate(zip(chosen, legal, strict=True)):
            if not 0 <= move < len(allowed) or not allowed[move]:
                legal_moves = ", ".join(map(str, (np.flatnonzero(allowed) + start)[:16].tolist()))
                ply = int(state.plies[row]) + 1
                raise UserError(
                    f"{self.name} plays the illegal move {move + start} at ply {ply}; legal are {legal_moves}"
                )
        return action

    def _action(self, seen: Mapping[str, NDArray[Any]]) -> int:
        try:
            return int(self.policy(seen))
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self.name} failed: {described(error)}") from error
