"""A trained agent as a policy for any PettingZoo environment with the spaces of its game."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv
from torch import Tensor

from agents.games import Game
from agents.search import GumbelSearch
from agents.search.dynamics import GameDynamics
from lab.errors import UserError


class Evaluating(Protocol):
    """What a policy needs of an agent."""

    @property
    def game(self) -> Game: ...

    def evaluate(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [B, C, H, W] -> logits float32 [B, A] and the mover's value float32 [B]."""
        ...


@dataclass(frozen=True)
class Policy:
    """Chooses actions from observations alone; equal observations get equal actions.

    simulations: of a search without noise for each move, from the state rebuilt from the observation; 0 plays
    the legal action that the network likes best.
    """

    agent: Evaluating
    simulations: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        if self.simulations < 0:
            raise UserError(f"simulations must be 0 (the network alone) or more, not {self.simulations}")
        if self.simulations and not hasattr(self.agent.game, "from_observation"):
            raise UserError(f"{self.agent.game.name} cannot be searched from observations; use simulations=0")

    def __call__(self, observation: Mapping[str, NDArray[Any]]) -> int:
        """Action for one agent's observation, as `env.last()[0]` gives it. Raises as `batch` does."""
        return int(self.batch(observation["observation"][None], observation["action_mask"][None])[0])

    def batch(self, observations: NDArray[Any], action_masks: NDArray[Any]) -> NDArray[np.int64]:
        """Actions int64 [B] for observations [B, H, W, C] and action masks [B, A].

        Raises UserError for other shapes than the game's, ValueError for a row without legal actions.
        """
        self._check(observations.shape[1:], action_masks.shape[1:])
        mask = torch.from_numpy(np.asarray(action_masks) != 0).to(self.device)
        if not mask.any(-1).all():
            raise ValueError("no legal action: the game is over, or it is the other agent's move")
        channels_first = np.ascontiguousarray(np.moveaxis(observations, -1, 1), np.float32)
        with torch.inference_mode():
            seen = torch.from_numpy(channels_first).to(self.device)
            return (self._search(seen, mask) if self.simulations else self._prior(seen, mask)).cpu().numpy()

    def check(self, env: AECEnv[str, Any, Any]) -> None:
        """Raises UserError if an environment's spaces are not those of the agent's game."""
        for name in env.possible_agents:
            space = env.observation_space(name)
            if not isinstance(space, spaces.Dict) or not {"observation", "action_mask"} <= space.keys():
                raise UserError(
                    f"{env} does not show agents an observation and an action_mask, as policies need"
                )
            self._check(space["observation"].shape or (), space["action_mask"].shape or ())

    def _check(self, seen: tuple[int, ...], actions: tuple[int, ...]) -> None:
        game = self.agent.game
        planes, height, width = game.observation_shape
        if tuple(seen) != (height, width, planes) or tuple(actions) != (game.num_actions,):
            raise UserError(
                f"this policy plays {game.name}, with observations {(height, width, planes)} and "
                f"{game.num_actions} actions, not {tuple(seen)} and {' x '.join(map(str, actions))} actions"
            )

    def _prior(self, seen: Tensor, mask: Tensor) -> Tensor:
        logits, _ = self.agent.evaluate(seen)
        return torch.where(mask, logits.float().clamp_min(-1e30), -torch.inf).argmax(-1)

    def _search(self, seen: Tensor, mask: Tensor) -> Tensor:
        game: Any = self.agent.game
        state = game.from_observation(seen)
        dynamics = GameDynamics(game, self.agent.evaluate)
        logits, value = dynamics.evaluate_states(state, torch.ones_like(mask[:, 0]))
        search = GumbelSearch(self.simulations, gumbel_scale=0.0)
        # Seed, game ids and plies name the noise, of which there is none.
        zeros = torch.zeros(len(mask), dtype=torch.int64, device=self.device)
        return search(state, mask, logits, value, dynamics, 0, zeros, zeros).action


def policy_for(agent: Evaluating, simulations: int = 0, env: AECEnv[str, Any, Any] | None = None) -> Policy:
    """The policy of a trained agent; with `env`, checked against its spaces. Runs where the agent does."""
    policy = Policy(agent, simulations, getattr(agent, "device", torch.device("cpu")))
    if env is not None:
        policy.check(env)
    return policy
