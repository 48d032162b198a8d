"""From trajectories to rollouts: statistics of steps only, rewards per episode, and what a lost environment ends."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from agents.environments.actions import action_spec
from agents.environments.environments import Spaces
from agents.environments.observations import VECTOR, ObservationCodec
from agents.ppo.config import PPOConfig
from agents.ppo.policy import make_network
from agents.ppo.records import Trajectories
from agents.ppo.rollout_builder import RolloutBuilder

STEPS, ENVS = 8, 2
DISCOUNT, LAMBDA, CLIP = 0.9, 0.8, 3.0
TERMINATED, TRUNCATED = [(2, 0), (6, 1)], [(5, 0)]
INVALID, LOST = [(3, 0)], [(4, 1)]
SEGMENTS = [
    # environment, steps of an episode in the rollout
    (0, [0, 1, 2]),
    (0, [4, 5]),
    (0, [6, 7]),
    (1, [0, 1, 2, 3]),
    (1, [5, 6]),
    (1, [7]),
]


def _flags(places: list[tuple[int, int]]) -> NDArray[np.bool_]:
    flags = np.zeros((STEPS, ENVS), np.bool_)
    for place in places:
        flags[place] = True
    return flags


def _trajectories(seed: int = 0) -> Trajectories:
    """Two environments: one whose resets take a row, one that is lost at step 4 and replaced."""
    random = np.random.default_rng(seed)
    rewards = random.normal(1.0, 2.0, size=(STEPS, ENVS))
    rewards[3, 0] = rewards[4, 1] = 0.0
    observations = random.normal(5.0, 3.0, size=(STEPS, ENVS, 3)).astype(np.float32)
    observations[3, 0] = observations[4, 1] = 1e6  # would show in any statistics
    ends = [(step + 1, env) for step, env in [*TERMINATED, *TRUNCATED, *LOST] if step + 1 < STEPS]
    values, next_values, log_probs = (torch.from_numpy(random.normal(size=(STEPS, ENVS))).float() for _ in range(3))
    return Trajectories(
        observations={VECTOR: observations},
        mask=np.ones((STEPS, ENVS, 0), np.bool_),
        starts=_flags(ends),
        rewards=rewards,
        terminated=_flags(TERMINATED),
        truncated=_flags(TRUNCATED),
        valid=~_flags([*INVALID, *LOST]),
        lost=_flags(LOST),
        actions=torch.zeros(STEPS, ENVS, 1, dtype=torch.int64),
        log_probs=log_probs,
        values=values,
        next_values=next_values,
        states=torch.zeros(1, ENVS, 0),
        dropped=np.zeros(ENVS, np.bool_),
    )


def _builder(normalize_rewards: bool = True) -> RolloutBuilder:
    config = PPOConfig.model_validate(
        {
            "budget": 100,
            "env": {"id": "CartPole-v1", "count": ENVS},
            "network": {"hidden": (4,)},
            "normalize": {"observations": True, "rewards": normalize_rewards, "clip": CLIP},
            "learner": {"rollout_steps": STEPS, "discount": DISCOUNT, "gae_lambda": LAMBDA},
        }
    )
    codec = ObservationCodec(spaces.Box(-1e9, 1e9, (3,), np.float32))
    network, _ = make_network(config, Spaces(codec, action_spec(spaces.Discrete(2)), masks=False))
    return RolloutBuilder(network, config, ENVS)


def _discounted_returns(trajectories: Trajectories, before: NDArray[np.float64]) -> list[float]:
    """The discounted return up to each step of each episode; before: what environments bring from before."""
    seen = []
    for env, steps in SEGMENTS:
        discounted = float(before[env]) if steps[0] == 0 else 0.0
        for step in steps:
            discounted = DISCOUNT * discounted + trajectories.rewards[step, env]
            seen.append(discounted)
    return seen


def test_observation_moments_are_those_of_valid_rows() -> None:
    builder = _builder()
    both = [_trajectories(0), _trajectories(1)]
    for trajectories in both:
        builder.build(trajectories)
    rows = np.concatenate([one.observations[VECTOR][one.valid] for one in both]).astype(np.float64)
    assert builder.observation_moments.count == len(rows) == 28
    np.testing.assert_allclose(builder.observation_moments.mean, rows.mean(0), rtol=1e-9)
    np.testing.assert_allclose(builder.observation_moments.variance, rows.var(0), rtol=1e-9)


def test_rewards_are_divided_by_the_standard_deviation_of_discounted_returns_per_episode() -> None:
    builder, first, second = _builder(), _trajectories(0), _trajectories(1)
    advantages = [builder.build(one)[0].advantages.numpy() for one in (first, second)]
    before = np.zeros(ENVS)
    seen: list[float] = []
    for trajectories, found in zip((first, second), advantages, strict=True):
        seen += _discounted_returns(trajectories, before)
        before = np.array(
            [DISCOUNT * trajectories.rewards[6, 0] + trajectories.rewards[7, 0], trajectories.rewards[7, 1]]
        )
        std = np.std(seen)
        scaled = np.clip(trajectories.rewards / std, -CLIP, CLIP)
        np.testing.assert_allclose(found, _advantages(trajectories, scaled), rtol=0, atol=1e-4)
    assert builder.return_moments.count == len(seen)
    np.testing.assert_allclose(builder.return_moments.mean, np.mean(seen), rtol=1e-9)
    np.testing.assert_allclose(builder.return_moments.variance, np.var(seen), rtol=1e-9)


def test_an_episode_ends_one_step_before_its_environment_is_lost() -> None:
    trajectories = _trajectories()
    rollout, episodes = _builder(normalize_rewards=False).build(trajectories)
    expected = _advantages(trajectories, trajectories.rewards)
    np.testing.assert_allclose(rollout.advantages.numpy(), expected, rtol=0, atol=1e-5)
    assert episodes.dropped == 1
    ended = [(0, [0, 1, 2]), (0, [4, 5]), (1, [5, 6])]
    assert sorted(episodes.lengths) == [2, 2, 3]
    assert sorted(episodes.returns) == pytest.approx(
        sorted(trajectories.rewards[steps, env].sum() for env, steps in ended)
    )


def test_a_dropped_episode_leaves_nothing_behind() -> None:
    """Neither its return nor its discounted return goes on in the episode that replaces it."""
    builder, first, second = _builder(), _trajectories(0), _trajectories(1)
    builder.build(first)
    second.dropped[1] = True
    _, episodes = builder.build(second)
    assert episodes.dropped == 2
    from_before = first.rewards[[6, 7], 0].sum() + second.rewards[[0, 1, 2], 0].sum()
    expected = [from_before, second.rewards[[4, 5], 0].sum(), second.rewards[[5, 6], 1].sum()]
    assert sorted(episodes.returns) == pytest.approx(sorted(expected))
    assert sorted(episodes.lengths) == [2, 2, 5]
    before = np.array([DISCOUNT * first.rewards[6, 0] + first.rewards[7, 0], 0.0])
    seen = _discounted_returns(first, np.zeros(ENVS)) + _discounted_returns(second, before)
    np.testing.assert_allclose(builder.return_moments.variance, np.var(seen), rtol=1e-9)


def _advantages(trajectories: Trajectories, rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """The definition of GAE, in a loop over the steps of each episode from its last one."""
    values, next_values = trajectories.values.double().numpy(), trajectories.next_values.double().numpy()
    expected = np.zeros((STEPS, ENVS))
    for env, steps in SEGMENTS:
        following = 0.0
        for step in reversed(steps):
            after = 0.0 if trajectories.terminated[step, env] else next_values[step, env]
            following = rewards[step, env] + DISCOUNT * after - values[step, env] + DISCOUNT * LAMBDA * following
            expected[step, env] = following
    return expected
