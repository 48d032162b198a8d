"""Environments in processes: equal to those in this process, replaced when they die, hang or fail."""

import contextlib
import functools
import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray

from agents.environments import processes
from agents.environments.environments import Environments, Rows
from agents.environments.make import EnvironmentConfig, WrapperConfig, maker
from agents.environments.processes import ProcessEnvironments
from agents.environments.serial import SerialEnvironments
from lab.errors import UserError

pytestmark = pytest.mark.timeout(120)


class Faulty(gym.Env[NDArray[np.float32], np.int64]):
    """Dies, hangs or fails at its third step if the file `path` exists, which it removes first unless `always`."""

    def __init__(self, path: Path, how: str, always: bool = False) -> None:
        self.observation_space = gym.spaces.Box(0.0, 1e6, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self._path, self._how, self._always, self._step = path, how, always, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.int64) -> Any:
        self._step += 1
        if self._step == 3 and self._takes_the_fault():
            if self._how == "dies":
                os._exit(1)
            if self._how == "hangs":
                time.sleep(1000)
            raise RuntimeError("a joint is broken")
        return np.full(1, self._step, np.float32), 1.0, self._step == 10, False, {}

    def _takes_the_fault(self) -> bool:
        if self._always:
            return self._path.exists()
        try:
            self._path.unlink()  # only one of the processes can
        except FileNotFoundError:
            return False
        return True


class Stillborn(Faulty):
    """Dies once at its third step, and then once in its constructor."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "dies")
        with contextlib.suppress(FileNotFoundError):
            (path.parent / "broken").unlink()
            os._exit(1)


class Sleeper(Faulty):
    """Never comes back from a reset with a seed of training."""

    def __init__(self, number: int) -> None:
        super().__init__(Path(), "")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed:
            time.sleep(1000)
        return super().reset(seed=seed)


def _walk(envs: Environments, steps: int) -> list[list[NDArray[Any]]]:
    spaces = envs.spaces
    mask = spaces.actions.mask_size if spaces.masks else 0
    rows = Rows(spaces.codec.empty(envs.count), np.ones((envs.count, mask), np.bool_))
    envs.reset(3, rows)
    random = np.random.default_rng(0)
    seen = []
    for _ in range(steps):
        actions = random.integers(0, 2, (envs.count, 1))
        if mask:
            actions = rows.mask.argmax(1)[:, None]
        for group, part in enumerate(envs.groups):
            envs.send(group, actions[part])
        for group, part in enumerate(envs.groups):
            step = envs.receive(group, rows.part(part))
            finals = [step.final[name] for name in sorted(step.final)]
            seen.append([step.reward, step.terminated, step.truncated, step.starts, *finals])
            seen[-1].extend(array[part].copy() for array in rows.observations.values())
    return seen


@pytest.mark.parametrize("name", ["CartPole-v1", "Taxi-v4"])
def test_processes_step_as_this_process_does(name: str) -> None:
    limit = WrapperConfig(name="TimeLimit", kwargs={"max_episode_steps": 9})
    make = maker(EnvironmentConfig(id=name, wrappers=(limit,)))
    envs = ProcessEnvironments(make, 5, 2)
    try:
        assert len(envs.groups) == 2
        found = _walk(envs, 40)
    finally:
        envs.close()
    serial = _walk(SerialEnvironments(make, 5), 40)
    for number, expected in enumerate(serial):
        pair = found[2 * number : 2 * number + 2]
        for index, array in enumerate(expected):
            np.testing.assert_array_equal(np.concatenate([part[index] for part in pair]), array)


@pytest.mark.parametrize("how", ["dies", pytest.param("hangs", marks=pytest.mark.slow), "fails"])
def test_a_process_is_replaced_and_its_episodes_are_dropped(how: str, tmp_path: Path) -> None:
    (tmp_path / "fault").touch()
    envs = ProcessEnvironments(functools.partial(Faulty, tmp_path / "fault", how), 4, 2, timeout_s=4.0)
    try:
        rows = Rows(envs.spaces.codec.empty(4), np.ones((4, 0), np.bool_))
        envs.reset(0, rows)
        lost = np.zeros(4, int)
        for _ in range(12):
            for group in range(2):
                envs.send(group, np.zeros((2, 1), np.int64))
            for group, part in enumerate(envs.groups):
                step = envs.receive(group, rows.part(part))
                lost[part] += step.lost
                assert (step.valid == ~step.lost).all()
                assert step.starts[step.lost].all()
                assert (rows.observations["vector"][part][step.lost] == 0).all()
        assert sorted(lost) == [0, 0, 1, 1]  # one environment of each group was in that process
    finally:
        envs.close()


def test_environments_that_always_fail_end_training(tmp_path: Path) -> None:
    (tmp_path / "fault").touch()
    envs = ProcessEnvironments(functools.partial(Faulty, tmp_path / "fault", "fails", always=True), 1, 1)
    try:
        rows = Rows(envs.spaces.codec.empty(1), np.ones((1, 0), np.bool_))
        envs.reset(0, rows)
        with pytest.raises(
            UserError, match=r"failed 3 times .*\(environment Faulty failed in step: RuntimeError: a joint is broken"
        ):
            for _ in range(100):
                envs.send(0, np.zeros((1, 1), np.int64))
                envs.receive(0, rows)
    finally:
        envs.close()


def test_a_process_that_died_between_two_steps_is_replaced_and_its_state_not_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    envs = ProcessEnvironments(maker(EnvironmentConfig(id="CartPole-v1")), 2, 2)
    try:
        _steps(envs, seed=0)
        assert envs.state_dict()
        os.kill(envs._workers[1].process.pid or 0, signal.SIGKILL)
        assert envs.state_dict() == {}
        _steps(envs)
        assert "the process has died (SIGKILL: out of memory?)" in caplog.text
        assert envs.state_dict()
    finally:
        envs.close()


@pytest.mark.slow
def test_a_replacement_that_dies_while_it_starts_is_replaced_too(tmp_path: Path) -> None:
    (tmp_path / "fault").touch()
    envs = ProcessEnvironments(functools.partial(Stillborn, tmp_path / "fault"), 2, 1, timeout_s=30.0)
    try:
        rows = Rows(envs.spaces.codec.empty(2), np.ones((2, 0), np.bool_))
        envs.reset(0, rows)
        (tmp_path / "broken").touch()
        lost = 0
        for _ in range(4):
            for group, part in enumerate(envs.groups):
                envs.send(group, np.zeros((1, 1), np.int64))
                lost += int(envs.receive(group, rows.part(part)).lost.sum())
        assert lost == 2 and not (tmp_path / "broken").exists()
    finally:
        envs.close()


@pytest.mark.slow
def test_a_reset_that_hangs_ends_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_START_TIMEOUT_S", 5.0)
    envs = ProcessEnvironments(functools.partial(Sleeper, 0), 1, 1, timeout_s=0.1)
    try:
        rows = Rows(envs.spaces.codec.empty(1), np.ones((1, 0), np.bool_))
        with pytest.raises(UserError, match="does not answer while it is reset"):
            envs.reset(0, rows)
    finally:
        envs.close()


def test_the_state_of_processes_continues(tmp_path: Path) -> None:
    make = maker(EnvironmentConfig(id="CartPole-v1"))
    one = ProcessEnvironments(make, 4, 2)
    try:
        _walk(one, 10)
        state = one.state_dict()
        after = [_steps(one), _steps(one)]
        one.load_state_dict(state)
        np.testing.assert_array_equal(_steps(one), after[0])
    finally:
        one.close()


def _steps(envs: Environments, seed: int | None = None) -> NDArray[Any]:
    rows = Rows(envs.spaces.codec.empty(envs.count), np.ones((envs.count, 0), np.bool_))
    if seed is not None:
        envs.reset(seed, rows)
    for group, part in enumerate(envs.groups):
        envs.send(group, np.ones((part.stop - part.start, 1), np.int64))
        envs.receive(group, rows.part(part))
    return rows.observations["vector"]
