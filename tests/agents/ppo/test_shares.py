"""Environments in several shares are those of one process: the same steps, rollouts and saved states."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from agents.ppo.actors import LocalActors, make_environments
from agents.ppo.collector import Collector
from agents.ppo.config import PPOConfig
from agents.ppo.policy import make_network
from agents.ppo.records import Rollout, Trajectories
from agents.ppo.rollout_builder import RolloutBuilder
from agents.ppo.shares import joined, joined_states, packed, share_of_state
from tests.agents.ppo.five_environments import DEVICE, RECURRENT, config

ROWS = [slice(0, 3), slice(3, 5)]
NUMBERS = [range(0, 3), range(3, 5)]
CASES: dict[str, dict[str, Any]] = {
    "vector": {},
    "recurrent": RECURRENT,
    "masks": {"env": {"id": "Taxi-v4"}, "normalize": {"observations": False}},
    "continuous": {"env": {"id": "Pendulum-v1"}},
}


class InShares:
    """Two collectors that act with one network, and all that comes of their trajectories."""

    def __init__(self, settings: PPOConfig) -> None:
        torch.manual_seed(0)
        environments = [make_environments(settings, numbers) for numbers in NUMBERS]
        self.network, distribution = make_network(settings, environments[0].spaces)
        self.builder = RolloutBuilder(self.network, settings, 5)
        self.collectors = [
            Collector(own, self.network, distribution, settings, first=numbers.start)
            for own, numbers in zip(environments, NUMBERS, strict=True)
        ]
        for collector in self.collectors:
            collector.reset(settings.seed)

    def collect(self) -> Rollout:
        shares = [packed(collector.collect()) for collector in self.collectors]
        return self.builder.build(joined(shares, DEVICE.device))[0]


class Whole:
    """The environments of one process."""

    def __init__(self, settings: PPOConfig) -> None:
        torch.manual_seed(0)
        environments = make_environments(settings)
        self.network, distribution = make_network(settings, environments.spaces)
        self.builder = RolloutBuilder(self.network, settings, 5)
        self.actors = LocalActors(environments, self.network, distribution, settings)

    def collect(self) -> Rollout:
        return self.builder.build(self.actors.collect())[0]


@pytest.fixture(params=CASES)
def settings(request: pytest.FixtureRequest) -> Iterator[PPOConfig]:
    yield config(CASES[request.param])


def assert_same(one: Rollout, other: Rollout) -> None:
    """Up to rounding, which depends on the size of a batch; discrete actions are equal."""
    torch.testing.assert_close(one._asdict(), other._asdict(), rtol=1e-4, atol=1e-5)


def test_rollouts_in_shares_are_those_of_one_process(settings: PPOConfig) -> None:
    shares, whole = InShares(settings), Whole(settings)
    for _ in range(4):
        assert_same(whole.collect(), shares.collect())
    ours, theirs = whole.builder.state_dict(), shares.builder.state_dict()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_a_state_of_shares_goes_on_in_one_process_and_the_other_way_round(settings: PPOConfig) -> None:
    shares, whole = InShares(settings), Whole(settings)
    shares.collect()
    state = joined_states([collector.state_dict() for collector in shares.collectors])
    assert whole.actors.load_state_dict(state)
    whole.builder.load_state_dict(shares.builder.state_dict())
    whole.network.load_state_dict(shares.network.state_dict())
    assert_same(whole.collect(), shares.collect())
    state = whole.actors.state_dict()
    for number, collector in enumerate(shares.collectors):
        collector.reset(99)
        assert collector.load_state_dict(share_of_state(state, ROWS, number))
    assert_same(whole.collect(), shares.collect())


def test_shares_of_gymnasiums_vector_environments_fit_only_the_same_shares() -> None:
    settings = config({"env": {"vectorization": "gymnasium"}})
    shares, whole = InShares(settings), Whole(settings)
    shares.collect()
    state = joined_states([collector.state_dict() for collector in shares.collectors])
    expected = shares.collect()
    for number, collector in enumerate(shares.collectors):
        assert collector.load_state_dict(share_of_state(state, ROWS, number))
    assert torch.equal(shares.collect().actions, expected.actions)
    assert not whole.actors.load_state_dict(state)
    assert not shares.collectors[0].load_state_dict(share_of_state(whole.actors.state_dict(), ROWS, 0))
    assert whole.actors.load_state_dict(whole.actors.state_dict())


def test_dropped_episodes_are_counted_and_begin_again() -> None:
    shares = InShares(config({"learner": {"rollout_steps": 60}}))  # every environment's episode ends
    first = joined([packed(collector.collect()) for collector in shares.collectors], DEVICE.device)
    shares.builder.build(first)
    shares.collectors[1].reset(7)
    second: Trajectories = joined([packed(collector.collect()) for collector in shares.collectors], DEVICE.device)
    second.dropped[ROWS[1]] = True
    lengths = shares.builder.state_dict()["episode_length"]
    _, episodes = shares.builder.build(second)
    assert episodes.dropped == 2
    ends = (second.terminated | second.truncated).argmax(0) + 1
    counted = dict.fromkeys(range(5), 0) | {row: int(lengths[row]) for row in range(3)}
    assert {counted[row] + int(ends[row]) for row in range(5)} <= set(episodes.lengths)
