"""A game as a PettingZoo AEC environment, with the spaces of PettingZoo's classic games."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv
from pettingzoo.utils import wrappers

from agents import games
from agents.pettingzoo.window import Window
from lab.errors import UserError

VERSION = 0
_CPU = torch.device("cpu")


class GameEnv(AECEnv[str, dict[str, NDArray[Any]], int]):
    """One board of a game, without PettingZoo's wrappers; "player_0" moves first, "player_1" second.

    Observations are dictionaries: `observation` int8 [H, W, C] (float32 for a game whose planes hold numbers), the
    observing agent's planes first, and `action_mask` int8 [A], all zeros for the agent that is not to move. Rewards are
    +1, 0 or -1 when the game ends. The rules have no randomness, so a seed has no effect.
    """

    def __init__(self, game_name: str, render_mode: str | None = None, **options: Any) -> None:
        super().__init__()
        self.metadata: dict[str, Any] = {
            "render_modes": ["human", "ansi", "rgb_array"],
            "name": f"{game_name}_v{VERSION}",
            "is_parallelizable": False,
            "render_fps": 2,
        }
        if render_mode not in (None, *self.metadata["render_modes"]):
            known = ", ".join(self.metadata["render_modes"])
            raise UserError(f"unknown render_mode {render_mode!r}; choose one of: {known}")
        self.render_mode = render_mode
        self.game = games.make(game_name, **options)
        self._dtype: Any = np.float32 if self.game.number_planes else np.int8
        self.possible_agents = ["player_0", "player_1"]
        self.agents = self.possible_agents[:]
        self.observation_spaces = {agent: self._observation_space() for agent in self.agents}
        self.action_spaces = {agent: spaces.Discrete(self.game.num_actions) for agent in self.agents}
        self._window: Window | None = None
        self._state: Any = None
        self._previous: Any = None  # the state one move earlier, for the mark of the last move

    def _observation_space(self) -> spaces.Dict:
        planes, height, width = self.game.observation_shape
        low, high = (-np.inf, np.inf) if self.game.number_planes else (0, 1)
        space = spaces.Box(low, high, (height, width, planes), self._dtype)
        return spaces.Dict(
            {
                "observation": space,
                "action_mask": spaces.Box(0, 1, (self.game.num_actions,), np.int8),
            }
        )

    def observation_space(self, agent: str) -> spaces.Dict:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Reset to the initial board; `seed` and `options` are part of the interface and have no effect."""
        self._state, self._previous = self.game.initial(1, _CPU), None
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        self._select_agent()
        if self.render_mode == "human":
            self.render()

    def step(self, action: int | None) -> None:
        """Play the selected agent's action; None removes an agent whose game is over.

        Raises ValueError for an illegal action; with the wrappers of `env` it loses the game instead.
        """
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        legal = self.game.legal(self._state)[0]
        if action is None or not 0 <= action < len(legal) or not legal[action]:
            raise ValueError(f"action {action} is not legal; legal are {legal.nonzero()[:, 0].tolist()}")
        self._previous = self._state
        self._state = self.game.step(self._state, torch.tensor([int(action)]))
        self.rewards = dict(zip(self.agents, self.game.reward(self._state)[0].tolist(), strict=True))
        self.terminations = dict.fromkeys(self.agents, bool(self.game.done(self._state)))
        self._accumulate_rewards()
        self._select_agent()
        if self.render_mode == "human":
            self.render()

    def observe(self, agent: str) -> dict[str, NDArray[Any]]:
        """An agent's observation, from its own point of view also when it is not to move."""
        side = torch.tensor([self.possible_agents.index(agent)])
        planes = self.game.observe(self._state, side)[0].numpy().astype(self._dtype)
        mask = np.zeros(self.game.num_actions, np.int8)
        if agent == self.agent_selection:
            mask = self.game.legal(self._state)[0].numpy().astype(np.int8)
        return {"observation": planes.transpose(1, 2, 0).copy(), "action_mask": mask}

    def render(self) -> str | NDArray[np.uint8] | None:
        """Text (ansi), uint8 [height, width, 3] (rgb_array), or an image in a window (human)."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() does nothing without a render_mode; give one when making it")
            return None
        if self.render_mode == "ansi":
            return self.game.render(self._state, 0, self._previous)
        image = self.game.image(self._state, 0, self._previous)
        if self.render_mode == "rgb_array":
            return image
        if self._window is None:
            self._window = Window(str(self.metadata["name"]), self.metadata["render_fps"])
        self._window.show(image)
        return None

    def close(self) -> None:
        """Close the window, if it is open; rendering opens it again."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _select_agent(self) -> None:
        self.agent_selection = self.possible_agents[int(self.game.player(self._state))]


def raw_env(game_name: str, render_mode: str | None = None, **options: Any) -> GameEnv:
    """A game's environment without wrappers; `options` are the game's, such as rows, columns and length."""
    return GameEnv(game_name, render_mode, **options)


def env(game_name: str, render_mode: str | None = None, **options: Any) -> AECEnv[str, Any, Any]:
    """A game's environment with PettingZoo's usual wrappers: an illegal move loses, wrong use raises an error."""
    wrapped: AECEnv[str, Any, Any] = raw_env(game_name, render_mode, **options)
    wrapped = wrappers.TerminateIllegalWrapper(wrapped, illegal_reward=-1)
    wrapped = wrappers.AssertOutOfBoundsWrapper(wrapped)
    return wrappers.OrderEnforcingWrapper(wrapped)
