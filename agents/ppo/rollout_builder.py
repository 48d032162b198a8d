"""From trajectories to a rollout: normalised rewards, advantages, completed episodes, and running statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.environments.observations import VECTOR
from agents.ppo.advantages import generalized_advantages
from agents.ppo.config import PPOConfig
from agents.ppo.moments import Moments
from agents.ppo.network import ActorCritic
from agents.ppo.records import Episodes, Rollout, Trajectories
from lab.files.plain import same_form


class RolloutBuilder:
    """Builds the rollout of all N environments from trajectories that one process or several workers collected.

    Keeps the running statistics of observations and rewards, and returns and lengths of unfinished episodes.
    """

    def __init__(self, network: ActorCritic, config: PPOConfig, count: int) -> None:
        """count: N."""
        self.observation_moments = Moments(len(network.normalizer.mean))
        self.return_moments = Moments(1)
        self._network, self._config, self._device = network, config, network.value.weight.device
        self._episode_return, self._discounted_return = np.zeros(count), np.zeros(count)
        self._episode_length = np.zeros(count, np.int64)

    def forget_episodes(self, rows: slice | NDArray[np.bool_] = slice(None)) -> None:
        """Set returns and lengths of these environments' episodes to 0: their next step begins an episode."""
        self._episode_return[rows] = self._discounted_return[rows] = 0.0
        self._episode_length[rows] = 0

    @torch.no_grad()
    def build(self, trajectories: Trajectories) -> tuple[Rollout, Episodes]:
        """The rollout [T, N] and the episodes that ended in it, which the statistics include from now on."""
        self.forget_episodes(trajectories.dropped)
        config = self._config.learner
        # The invalid row of a lost environment ends its episode too: the value of the step before stands for the rest.
        ended = trajectories.terminated | trajectories.truncated
        valid = self._tensor(trajectories.valid)
        advantages = generalized_advantages(
            rewards=self._tensor(self._scaled_rewards(trajectories)),
            values=trajectories.values,
            next_values=trajectories.next_values,
            terminated=self._tensor(trajectories.terminated),
            ended=self._tensor(ended),
            valid=valid,
            discount=config.discount,
            gae_lambda=config.gae_lambda,
        )
        observations = {name: self._tensor(array) for name, array in trajectories.observations.items()}
        rollout = Rollout(
            observations=self._network.prepare(observations),
            mask=self._tensor(trajectories.mask),
            actions=trajectories.actions,
            log_probs=trajectories.log_probs,
            values=trajectories.values,
            advantages=advantages,
            valid=valid,
            starts=self._tensor(trajectories.starts),
            states=trajectories.states,
        )
        episodes = self._count_episodes(trajectories)
        self._update_observation_moments(trajectories)
        return rollout, episodes

    def state_dict(self) -> dict[str, Any]:
        """Statistics, and returns and lengths of unfinished episodes."""
        return {
            "episode_return": self._episode_return.copy(),
            "episode_length": self._episode_length.copy(),
            "discounted_return": self._discounted_return.copy(),
            "observation_moments": self.observation_moments.state_dict(),
            "return_moments": self.return_moments.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`. Raises ValueError for the state of other environments."""
        self.observation_moments.load_state_dict(state["observation_moments"])
        self.return_moments.load_state_dict(state["return_moments"])
        arrays = {
            "episode_return": self._episode_return,
            "episode_length": self._episode_length,
            "discounted_return": self._discounted_return,
        }
        for name, array in arrays.items():
            array[:] = same_form(state[name], array, name)

    def _scaled_rewards(self, trajectories: Trajectories) -> NDArray[np.float32]:
        """Rewards [T, N], divided by the standard deviation of the discounted return if configured."""
        normalize, rewards = self._config.normalize, trajectories.rewards
        if not normalize.rewards:
            return rewards.astype(np.float32)
        over = _over(trajectories)
        seen = np.empty_like(rewards)
        for step, reward in enumerate(rewards):
            self._discounted_return = self._discounted_return * self._config.learner.discount + reward
            seen[step] = self._discounted_return
            self._discounted_return[over[step]] = 0.0
        self.return_moments.update(torch.from_numpy(seen[trajectories.valid])[:, None])
        std = float(self.return_moments.variance.sqrt()) + 1e-8
        return np.clip(rewards / std, -normalize.clip, normalize.clip).astype(np.float32)

    def _count_episodes(self, trajectories: Trajectories) -> Episodes:
        episodes = Episodes(dropped=int(trajectories.lost.sum() + trajectories.dropped.sum()))
        over = _over(trajectories)
        for step in range(len(over)):
            self._episode_return += trajectories.rewards[step]
            self._episode_length += trajectories.valid[step]
            if over[step].any():
                completed = over[step] & ~trajectories.lost[step]
                episodes.returns += self._episode_return[completed].tolist()
                episodes.lengths += self._episode_length[completed].tolist()
                self._episode_return[over[step]], self._episode_length[over[step]] = 0.0, 0
        return episodes

    def _update_observation_moments(self, trajectories: Trajectories) -> None:
        """Statistics of the observations that were acted on; the next rollout uses them."""
        if not self._config.normalize.observations or VECTOR not in trajectories.observations:
            return
        seen = trajectories.observations[VECTOR][trajectories.valid]
        self.observation_moments.update(torch.from_numpy(seen))
        self._network.normalizer.fit(self.observation_moments.mean, self.observation_moments.variance)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)


def _over(trajectories: Trajectories) -> NDArray[np.bool_]:
    """Steps [T, N] after which another episode begins."""
    return trajectories.terminated | trajectories.truncated | trajectories.lost
