"""A trained agent as a policy for any PettingZoo environment with the spaces of its game."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv
from torch import Tensor

from agents.arena.players import AgentLike
from agents.games.game import ObservableGame
from lab.errors import UserError


@dataclass(frozen=True)
class Policy:
    """Chooses actions from observations, deterministically.

    simulations: per move, of a search without noise from the state rebuilt from the observation; 0 plays the legal
    action with the largest logit of the network.
    """

    agent: AgentLike
    simulations: int = 0

    def __post_init__(self) -> None:
        if self.simulations < 0:
            raise UserError(f"simulations must be 0 (the network alone) or more, not {self.simulations}")

    def __call__(self, observation: Mapping[str, NDArray[Any]]) -> int:
        """Action for one agent's observation, as `env.last()[0]` gives it. Raises as `batch` does."""
        return int(self.batch(observation["observation"][None], observation["action_mask"][None])[0])

    def batch(self, observations: NDArray[Any], action_masks: NDArray[Any]) -> NDArray[np.int64]:
        """Actions int64 [B] for observations [B, H, W, C] and action masks [B, A].

        Raises UserError for other shapes than the game's, ValueError for a row without legal actions.
        """
        self._check(observations.shape[1:], action_masks.shape[1:])
        mask = torch.from_numpy(np.asarray(action_masks) != 0)
        if not mask.any(-1).all():
            raise ValueError("no legal action: the game is over, or it is the other agent's move")
        channels_first = np.ascontiguousarray(np.moveaxis(observations, -1, 1), np.float32)
        with torch.inference_mode():
            seen = torch.from_numpy(channels_first).to(self.agent.device)
            return self._choose(seen, mask.to(self.agent.device)).cpu().numpy()

    def check(self, env: AECEnv[str, Any, Any]) -> None:
        """Raises UserError if an environment's spaces are not those of the agent's game."""
        for name in env.possible_agents:
            space = env.observation_space(name)
            if not isinstance(space, spaces.Dict) or not {"observation", "action_mask"} <= space.keys():
                raise UserError(f"{env} has no observation and action_mask in its spaces, which policies need")
            self._check(space["observation"].shape or (), space["action_mask"].shape or ())

    def _check(self, seen: tuple[int, ...], actions: tuple[int, ...]) -> None:
        game = self.agent.game
        planes, height, width = game.observation_shape
        if tuple(seen) != (height, width, planes) or tuple(actions) != (game.num_actions,):
            raise UserError(
                f"this policy plays {game.name}, with observations {(height, width, planes)} and "
                f"{game.num_actions} actions, not {tuple(seen)} and {' x '.join(map(str, actions))} actions"
            )

    def _choose(self, seen: Tensor, mask: Tensor) -> Tensor:
        if self.simulations == 0:
            return _best(self.agent.evaluate(seen)[0], mask)
        game = self.agent.game
        if not isinstance(game, ObservableGame):
            raise UserError(
                f"{game.name} cannot be searched from observations, which do not show all that its rules depend on; "
                "use simulations=0, the network alone"
            )
        result = self.agent.decide(game.from_observation(seen), self.simulations)
        result = result.over_actions(game.num_actions)
        # The mask of an environment may exclude legal moves of the game.
        allowed = mask.gather(1, result.action[:, None])[:, 0]
        return torch.where(allowed, result.action, _best(result.policy, mask))


def _best(preference: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, preference.clamp_min(-1e30), -torch.inf).argmax(-1)


def policy_for(agent: AgentLike, simulations: int = 0, env: AECEnv[str, Any, Any] | None = None) -> Policy:
    """The policy of a trained agent; with `env`, checked against the environment's spaces."""
    policy = Policy(agent, simulations)
    if env is not None:
        policy.check(env)
    return policy
