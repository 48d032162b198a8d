"""Generalized advantage estimation against a plain loop over episodes."""

from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from agents.environments.environments import Environments
from agents.environments.observations import VECTOR
from agents.environments.serial import SerialEnvironments
from agents.environments.vector import VectorEnvironments
from agents.ppo.advantages import generalized_advantages
from agents.ppo.collector import Collector
from agents.ppo.config import PPOConfig
from agents.ppo.network import ActorCritic
from agents.ppo.policy import make_network
from agents.ppo.rollout_builder import RolloutBuilder

DISCOUNT, LAMBDA = 0.97, 0.9


def _episode_advantages(
    rewards: list[float], values: list[float], last_value: float, discount: float, lam: float
) -> list[float]:
    """The definition: the exponentially weighted sum of the one-step errors of one episode."""
    following = [*values[1:], last_value]
    errors = [r + discount * after - v for r, v, after in zip(rewards, values, following, strict=True)]
    return [
        sum((discount * lam) ** (later - at) * errors[later] for later in range(at, len(errors)))
        for at in range(len(errors))
    ]


def _expected(
    rewards: NDArray[np.float64],
    values: NDArray[np.float64],
    next_values: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    ended: NDArray[np.bool_],
    valid: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Cut every environment's rows into episodes, and apply the definition to each."""
    expected = np.zeros_like(rewards)
    for env in range(rewards.shape[1]):
        rows: list[int] = []
        for step in range(len(rewards)):
            if valid[step, env]:
                rows.append(step)
            over = ended[step, env] or step == len(rewards) - 1 or not valid[step + 1, env]
            if rows and over:
                last = 0.0 if terminated[rows[-1], env] else next_values[rows[-1], env]
                of_rows = [float(v) for v in values[rows, env]]
                expected[rows, env] = _episode_advantages(
                    [float(r) for r in rewards[rows, env]], of_rows, float(last), DISCOUNT, LAMBDA
                )
                rows = []
    return expected


@pytest.mark.parametrize("autoreset", ["same step", "next step"])
@pytest.mark.parametrize("seed", range(5))
def test_advantages_equal_a_loop_over_ragged_episodes(autoreset: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    steps, envs = 23, 7
    rewards, values = random.normal(size=(steps, envs)), random.normal(size=(steps, envs))
    ended = random.random((steps, envs)) < 0.25
    valid = np.ones((steps, envs), np.bool_)
    if autoreset == "next step":  # the row after the end of an episode is its reset
        for step in range(1, steps):
            valid[step] = ~(ended[step - 1] & valid[step - 1])
        ended &= valid
    terminated = ended & (random.random((steps, envs)) < 0.5)
    next_values = np.concatenate([values[1:], random.normal(size=(1, envs))])
    if autoreset == "same step":  # the final observation has a value of its own
        next_values = np.where(ended, random.normal(size=(steps, envs)), next_values)
    found = generalized_advantages(
        rewards=torch.from_numpy(rewards),
        values=torch.from_numpy(values),
        next_values=torch.from_numpy(next_values),
        terminated=torch.from_numpy(terminated),
        ended=torch.from_numpy(ended),
        valid=torch.from_numpy(valid),
        discount=DISCOUNT,
        gae_lambda=LAMBDA,
    )
    expected = _expected(rewards, values, next_values, terminated, ended, valid)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)
    assert not found.numpy()[~valid].any()


class Recorded(gym.Env[NDArray[np.float32], np.int64]):
    """Random observations, rewards and ends; keeps every episode: observations and rewards, and how it ended."""

    observation_space = gym.spaces.Box(-9.0, 9.0, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self) -> None:
        self.episodes: list[Episode] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.episodes.append(Episode())
        return self._observe(), {}

    def step(self, action: np.int64) -> Any:
        episode, draw = self.episodes[-1], self.np_random.random()
        observation = self._observe()
        episode.rewards.append(float(self.np_random.normal()))
        episode.terminated = draw < 0.15
        return observation, episode.rewards[-1], episode.terminated, 0.15 <= draw < 0.3, {}

    def _observe(self) -> NDArray[np.float32]:
        self.episodes[-1].observations.append(self.np_random.normal(size=4).astype(np.float32))
        return self.episodes[-1].observations[-1]


@dataclass
class Episode:
    """n rewards, and n + 1 observations."""

    observations: list[NDArray[np.float32]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminated: bool = False


@pytest.mark.parametrize(
    "mode", ["own", AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED], ids=str
)
def test_advantages_of_rollouts_are_those_of_the_episodes_that_environments_record(mode: Any) -> None:
    """In every autoreset mode, truncated and terminated, within a rollout and over its end."""
    config = PPOConfig.model_validate(
        {
            "budget": 1000,
            "env": {"id": "CartPole-v1", "count": 3},
            "network": {"hidden": (16,)},
            "learner": {"rollout_steps": 20, "discount": DISCOUNT, "gae_lambda": LAMBDA},
        }
    )
    envs = [Recorded() for _ in range(3)]
    waiting = list(envs)
    if mode == "own":
        environments: Environments = SerialEnvironments(lambda: waiting.pop(0), 3)
    else:
        environments = VectorEnvironments(SyncVectorEnv([lambda: waiting.pop(0)] * 3, autoreset_mode=mode))
    torch.manual_seed(0)
    network, distribution = make_network(config, environments.spaces)
    torch.nn.init.normal_(network.value.weight)
    collector = Collector(environments, network, distribution, config)
    builder = RolloutBuilder(network, config, 3)
    for env in envs:
        env.episodes.clear()  # those of inspection
    collector.reset(0)
    known = [0, 0, 0]
    """Steps of each environment in earlier rollouts."""
    for _ in range(4):
        rollout, _ = builder.build(collector.collect())
        for number, env in enumerate(envs):
            expected: list[float] = []
            taken = 0
            for episode in env.episodes:
                first, taken = max(0, known[number] - taken), taken + len(episode.rewards)
                if first >= len(episode.rewards):
                    continue
                values = _values(network, episode.observations[first:])
                last = 0.0 if episode.terminated else values[-1]
                expected += _episode_advantages(episode.rewards[first:], values[:-1], last, DISCOUNT, LAMBDA)
            known[number] = taken
            found = rollout.advantages[:, number][rollout.valid[:, number]]
            np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-4)
    assert all(len(env.episodes) > 8 for env in envs)


def _values(network: ActorCritic, observations: list[NDArray[np.float32]]) -> list[float]:
    with torch.no_grad():
        found: list[float] = network.values(
            network.prepare({VECTOR: torch.from_numpy(np.stack(observations))})
        ).tolist()
    return found
