"""Killed, stopped or saved, a run that is resumed computes what the uninterrupted one does, bit for bit.

Environments that cannot be saved begin new episodes, which is said once.
"""

import logging
import signal
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from lab.run import checkpoint, metrics
from tests.agents.small_ppo import experiment, preset
from tests.command_line import lab, launch, wait_until
from tests.same_run import assert_same_bits, assert_same_run

_MEASURED = ("_s", "_per_s")
KINDS: dict[str, dict[str, Any]] = {
    "vectorised": {},
    "serial": {"env": {"vectorization": "serial"}},
    "masks": {"env": {"id": "Taxi-v4"}},
    "time limit": {"env": {"wrappers": [{"name": "TimeLimit", "kwargs": {"max_episode_steps": 11}}]}},
    "stacked": {"env": {"wrappers": [{"name": "FrameStackObservation", "kwargs": {"stack_size": 3}}]}},
    "recurrent": {
        "env": {"id": "rivals/Recall-v0", "kwargs": {"delay": 5}},
        "network": {"recurrent": "lstm", "recurrent_size": 8},
        "learner": {"sequence_length": 16},
    },
    "normalised": {
        "env": {"id": "Pendulum-v1"},
        "network": {"squash": True},
        "normalize": {"observations": True, "rewards": True},
    },
    "masks and recurrence": {"env": {"id": "Taxi-v4"}, "network": {"recurrent": "gru", "recurrent_size": 8}},
    "toy text": {"env": {"id": "Blackjack-v1"}, "network": {"shared": True}, "learner": {"optimizer": "muon"}},
}


def computed(found: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if not name.endswith(_MEASURED)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_experiment_continues_from_a_checkpoint_bit_for_bit(kind: str, tmp_path: Path) -> None:
    whole = experiment(tmp_path, **KINDS[kind])
    for _ in range(3):
        whole.iterate()
    state = saved(whole.state_dict(), tmp_path)
    resumed = experiment(tmp_path, **KINDS[kind])
    resumed.load_state_dict(state)
    for _ in range(3):
        assert repr(computed(resumed.iterate())) == repr(computed(whole.iterate()))
    assert resumed.evaluate().metrics == whole.evaluate().metrics
    assert_same_bits(saved(whole.state_dict(), tmp_path / "one"), saved(resumed.state_dict(), tmp_path / "other"))


def saved(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A state as a checkpoint gives it back."""
    return checkpoint.load(checkpoint.save(folder, state, iteration=1, counters={}))[0]


def iterations(run: Path) -> int:
    return max((entry.iteration for entry in metrics.read(run / "metrics.jsonl")), default=0)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param({}, id="vectorised", marks=pytest.mark.long),
        pytest.param({"env": {"processes": 2}}, id="processes", marks=pytest.mark.slow),
        pytest.param(KINDS["recurrent"], id="recurrent", marks=pytest.mark.slow),
        pytest.param(KINDS["normalised"], id="normalised", marks=pytest.mark.long),
        pytest.param(KINDS["masks"], id="masks", marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_equals_uninterrupted(kind: dict[str, Any], tmp_path: Path) -> None:
    """Through the command line, in processes of their own."""
    small = preset(tmp_path, budget=128 * 24, checkpoint={"every": 3, "keep": 3}, **kind)
    lab("train", small, "--runs-dir", tmp_path, "--name", "whole")
    process = launch("train", small, "--runs-dir", tmp_path, "--name", "killed")
    wait_until(lambda: iterations(tmp_path / "killed") >= 5, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and 5 <= iterations(tmp_path / "killed") < 24
    output = lab("resume", tmp_path / "killed")
    assert "continuing from iteration" in output and "bit for bit" not in output
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


class Opaque(gym.Env[Any, Any]):
    """An environment whose state cannot be saved."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        self._steps += 1
        return np.zeros(2, np.float32), 1.0, self._steps == 50, False, {}


def test_environments_that_cannot_be_saved_begin_new_episodes_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(gym.registry, "Opaque-v0", EnvSpec("Opaque-v0", entry_point=f"{__name__}:Opaque"))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Opaque.__module__])
    whole = experiment(tmp_path, env={"id": "Opaque-v0"})
    whole.iterate()
    state = saved(whole.state_dict(), tmp_path)
    resumed = experiment(tmp_path, env={"id": "Opaque-v0"})
    with caplog.at_level(logging.WARNING):
        resumed.load_state_dict(state)
    said = [record.getMessage() for record in caplog.records if "bit for bit" in record.getMessage()]
    assert len(said) == 1 and "Opaque-v0" in said[0]
    # The 32 steps that were under way are dropped: the next episodes are whole ones.
    assert resumed.iterate()["rollout/episodes"] == 0.0
    assert resumed.iterate()["rollout/length"] == 50.0
