"""Parallel environments: each agent a row, and no row of an agent that has left its episode is a step."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import ParallelEnv
from pydantic import ValidationError

from agents.environments.environments import Rows
from agents.environments.make import EnvironmentConfig
from agents.environments.parallel import ParallelEnvironments, parallel_maker
from agents.ppo.experiment import build
from lab.errors import UserError
from tests.agents import small_ppo


class Relay(ParallelEnv[str, NDArray[np.float32], np.int64]):
    """Agent i leaves after its step `leaves[i]`: the first by termination, the others by truncation.

    Observation: the number of the agent, of its episode and of its step; the reward is the step.
    """

    metadata = {"name": "relay", "render_modes": ["ansi"]}  # noqa: RUF012 (as PettingZoo declares it)

    def __init__(self, leaves: tuple[int, ...] = (2, 3, 5), unequal: bool = False) -> None:
        self.possible_agents = [f"runner_{index}" for index in range(len(leaves))]
        self._leaves, self._unequal, self._episode = leaves, unequal, 0

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Box(0.0, 1e6, (4 if self._unequal and agent == "runner_1" else 3,), np.float32)

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        assert seed is not None
        self.agents = list(self.possible_agents)
        self._episode, self._step = self._episode + 1, 0
        return self._observe(), {agent: self._info() for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        assert set(actions) == set(self.agents), "an action of an agent that has left"
        assert all(self._info()["action_mask"][action] for action in actions.values()), "an illegal action"
        self._step += 1
        seen, acted = self._observe(), self.agents
        over = {agent: self._step == self._leaves[self._index(agent)] for agent in acted}
        self.agents = [agent for agent in acted if not over[agent]]
        return (
            seen,
            {agent: float(self._step) for agent in acted},
            {agent: over[agent] and agent == "runner_0" for agent in acted},
            {agent: over[agent] and agent != "runner_0" for agent in acted},
            {agent: self._info() for agent in acted},
        )

    def render(self) -> str:
        return f"step {self._step}"

    def _info(self) -> dict[str, Any]:
        return {"action_mask": np.arange(2) == self._step % 2}

    def _index(self, agent: str) -> int:
        return self.possible_agents.index(agent)

    def _observe(self) -> dict[str, Any]:
        return {a: np.array([self._index(a), self._episode, self._step], np.float32) for a in self.agents}


def test_rows_are_the_steps_of_each_agent() -> None:
    envs = ParallelEnvironments(Relay, 2)
    assert (envs.count, envs.spaces.agents, envs.spaces.masks) == (6, 3, True)
    rows = Rows(envs.spaces.codec.empty(6), np.ones((6, 2), np.bool_))
    envs.reset(0, rows)
    valid, starts, ends, rewards = [], [], [], []
    for _ in range(10):
        before = rows.observations["vector"].copy()
        envs.send(0, rows.mask.argmax(1)[:, None])
        step = envs.receive(0, rows)
        following = rows.observations["vector"]
        going_on = step.valid & ~(step.terminated | step.truncated)
        np.testing.assert_array_equal(following[going_on], before[going_on] + [0, 0, 1])
        np.testing.assert_array_equal(step.final["vector"], before[step.final_rows] + [0, 0, 1])
        np.testing.assert_array_equal(step.final_rows, np.flatnonzero(step.truncated))
        assert not step.reward[~step.valid].any()
        assert (following[step.starts, 2] == 0).all()
        valid.append(step.valid[:3].astype(int).tolist())
        starts.append(step.starts[:3].astype(int).tolist())
        ends.append((step.terminated + 2 * step.truncated)[:3].tolist())
        rewards.append(step.reward[:3].tolist())
        np.testing.assert_array_equal(step.valid[:3], step.valid[3:])
    assert valid[:5] == [[1, 1, 1], [1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1]]
    assert starts[:5] == [[0, 0, 0]] * 4 + [[1, 1, 1]]
    assert ends[:5] == [[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 0], [0, 0, 2]]
    assert rewards[:5] == [[1, 1, 1], [2, 2, 2], [0, 3, 3], [0, 0, 4], [0, 0, 5]]
    assert (valid[5:], starts[5:], ends[5:], rewards[5:]) == (valid[:5], starts[:5], ends[:5], rewards[:5])


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pettingzoo:relay` is known, as an entry point makes it."""
    monkeypatch.setattr("agents.environments.parallel._factory", lambda name: Relay)


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize("recurrent", ["none", "gru"])
def test_training_counts_the_steps_of_agents_and_returns_the_mean_of_a_team(recurrent: str, tmp_path: Path) -> None:
    env = {"id": "pettingzoo:relay", "count": 2}
    network = {"recurrent": recurrent, "recurrent_size": 4}
    config = small_ppo.config(env=env, network=network, learner={"rollout_steps": 10, "minibatch": 30})
    experiment = build(config, tmp_path, small_ppo.DEVICE)
    found = experiment.iterate()
    assert experiment.counters["steps"] == 2 * 2 * (2 + 3 + 5)
    assert found["rollout/episodes"] == experiment.counters["episodes"] == 2 * 2
    mean = (3 + 6 + 15) / 3
    assert found["rollout/return"] == mean
    evaluation = experiment.evaluate().metrics
    assert (evaluation["eval/return"], evaluation["eval/return_std"], evaluation["eval/length"]) == (mean, 0.0, 5.0)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("pettingzoo:os.path", {}, "os.path is not a module of pettingzoo or mpe2"),
        ("pettingzoo:os", {}, "unknown parallel environment 'os': name a module such as"),
        ("pettingzoo:pettingzoo.classic.tictactoe_v3", {}, "has no parallel_env: its agents act in turn"),
        ("pettingzoo:pettingzoo.classic.tictacto_v3", {}, "did you mean 'pettingzoo:pettingzoo.classic.tictactoe_v3'"),
        ("pettingzoo:pettingzoo.utils", {}, "has no parallel_env"),
        ("pettingzoo:pettingzoo.nothing.here", {}, "nothing"),
        ("pettingzoo:mpe2.simple_spread_v3", {"wrappers": [{"name": "ClipAction"}]}, "env.wrappers are Gymnasium's"),
    ],
)
def test_what_cannot_be_made_is_one_line(name: str, changes: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parallel_maker(EnvironmentConfig(id=name, **changes))()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PettingZoo:mpe2.simple_spread_v3", "write pettingzoo:mpe2.simple_spread_v3, not PettingZoo:mpe2"),
        ("pettingzoo:", "write pettingzoo:mpe2.simple_spread_v3, not pettingzoo:$"),
        ({"pettingzoo": None}, "write pettingzoo:mpe2.simple_spread_v3, not pettingzoo:$"),  # as YAML reads it
    ],
    ids=str,
)
def test_a_wrong_prefix_is_named(name: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EnvironmentConfig(id=name)
    assert re.search(message, caught.value.errors()[0]["msg"])


def test_agents_with_other_spaces_are_refused() -> None:
    with pytest.raises(UserError, match="relay: the spaces of runner_0 and runner_1 differ, and one policy acts"):
        ParallelEnvironments(lambda: Relay(unequal=True), 1)


class Faulty(Relay):
    """Its step ends the process, gives too few results, or gives a mask that reset did not give."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self._fault = fault

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed)[0], {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        if self._fault == "exit":
            raise SystemExit(3)
        found = super().step(dict.fromkeys(actions, self._step % 2))
        return found[:4] if self._fault == "few" else found


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("exit", "relay failed in step: SystemExit: 3"),
        ("few", r"step returned \(dict, dict, dict, dict\) where the interface is"),
        ("mask", "gives an action mask in step and gave none in reset"),
    ],
)
def test_what_breaks_the_interface_is_one_line(fault: str, message: str) -> None:
    envs = ParallelEnvironments(lambda: Faulty(fault), 1)
    rows = Rows(envs.spaces.codec.empty(3), np.ones((3, 0), np.bool_))
    envs.reset(0, rows)
    envs.send(0, np.zeros((3, 1), np.int64))
    with pytest.raises(UserError, match=message):
        envs.receive(0, rows)


def test_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="stepped in this process"):
        small_ppo.config(env={"id": "pettingzoo:mpe2.simple_spread_v3", "processes": 2})


@pytest.mark.skipif(importlib.util.find_spec("mpe2") is None, reason="mpe2 is not installed")
def test_a_cooperative_environment_of_mpe2() -> None:
    envs = ParallelEnvironments(parallel_maker(EnvironmentConfig(id="pettingzoo:mpe2.simple_spread_v3")), 2)
    assert (envs.count, envs.spaces.codec.vector_size, envs.spaces.actions.sizes) == (6, 18, (5,))
