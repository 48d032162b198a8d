"""Environments that break Gymnasium's interface: one line that names the environment and what it did."""

import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agents.environments.environments import Rows
from agents.environments.serial import SerialEnvironments
from lab.errors import UserError


class Scripted(gym.Env[Any, Any]):
    """Returns what it is given; a function is called instead."""

    def __init__(
        self,
        *,
        step: Any = None,
        reset: Any = None,
        space: spaces.Space[Any] | None = None,
        actions: spaces.Space[Any] | None = None,
    ) -> None:
        self.observation_space = space or spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.action_space = actions or spaces.Discrete(2)
        self._step, self._reset = step, reset

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return _given(self._reset) if self._reset is not None else (np.zeros(3, np.float32), {})

    def step(self, action: Any) -> Any:
        return _given(self._step)


def _given(value: Any) -> Any:
    return value() if callable(value) else value


def _fail() -> None:
    raise RuntimeError("a joint\nis broken")


def _after(observation: Any, reward: Any = 1.0, terminated: Any = False, info: Any = None) -> Any:
    return observation, reward, terminated, False, {} if info is None else info


ZERO = np.zeros(3, np.float32)
IMAGE = spaces.Box(0, 255, (8, 8, 3), np.uint8)
CATEGORY = spaces.Discrete(3)
NESTED = spaces.Dict({"a": spaces.Box(0.0, 1.0, (2, 2)), "b": spaces.MultiDiscrete([2, 3])})


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (lambda: Scripted(reset=_fail), r"Scripted failed in reset: RuntimeError: a joint is broken \(test_faults"),
        (lambda: Scripted(reset=(ZERO,)), r"reset returned \(ndarray\) where"),
        (lambda: Scripted(reset=ZERO), "reset returned one ndarray where"),
        (lambda: Scripted(reset=(ZERO, None)), r"reset returned \(ndarray, NoneType\) where"),
        (lambda: Scripted(reset=(np.zeros(1), {})), r"an observation has shape \[1\], and its space says \[3\]"),
        (lambda: Scripted(reset=(0.0, {})), r"an observation has shape \[\], and its space says \[3\]"),
        (lambda: Scripted(reset=(None, {})), "an observation is a NoneType"),
        (lambda: Scripted(reset=({"a": 1}, {})), "an observation is a dict"),
        (lambda: Scripted(reset=(["x", "y", "z"], {})), "not of its space"),
        (lambda: Scripted(step=_fail), r"Scripted failed in step: RuntimeError: a joint is broken \(test_faults"),
        (
            lambda: Scripted(step=(ZERO, 1.0, False, {})),
            r"step returned \(ndarray, float, bool, dict\) where the interface is",
        ),
        (lambda: Scripted(), "step returned one NoneType where"),
        (lambda: Scripted(step=_after(np.zeros((3, 3)))), r"an observation has shape \[3, 3\]"),
        (lambda: Scripted(step=_after(ZERO, reward=[1.0, 2.0])), "reward, terminated, truncated"),
        (lambda: Scripted(step=_after(ZERO, reward="much")), "reward, terminated, truncated"),
        (lambda: Scripted(step=_after(ZERO, terminated=np.zeros(2))), "reward, terminated, truncated"),
        (lambda: Scripted(space=IMAGE, reset=(np.zeros((8, 8, 3)), {})), "an image observation is of float64"),
        (lambda: Scripted(space=IMAGE, reset=(np.zeros((3, 8, 8), np.uint8), {})), r"has shape \[3, 8, 8\]"),
        (lambda: Scripted(space=CATEGORY, reset=(3, {})), "outside its space"),
        (lambda: Scripted(space=CATEGORY, reset=(-1, {})), "outside its space"),
        (lambda: Scripted(space=NESTED, reset=({"a": np.zeros((2, 2))}, {})), "KeyError: 'b'"),
        (lambda: Scripted(space=NESTED, reset=({"a": np.zeros((2, 2)), "b": [2, 0]}, {})), "outside its space"),
        (lambda: Scripted(space=spaces.Text(5)), "Scripted: the observation space is a Text, which is not supported"),
        (lambda: Scripted(space=spaces.Dict({"a": spaces.Graph(IMAGE, None)})), "observation space, 'a' is a Graph"),
        (lambda: Scripted(space=spaces.Box(0, 1, (2, 2, 2, 2))), "Box of 4 dimensions"),
        (lambda: Scripted(actions=spaces.Tuple([CATEGORY])), "Scripted: the action space is a Tuple"),
        (lambda: Scripted(actions=spaces.Box(0, 9, (2,), np.int64)), "the action space is a Box of int64"),
        (
            lambda: Scripted(actions=spaces.Box(0, 1, (2,)), reset=(ZERO, {"action_mask": [1, 1]})),
            "Scripted has action masks, which are for discrete actions",
        ),
        (
            lambda: Scripted(reset=(ZERO, {}), step=_after(ZERO, info={"action_mask": [0, 1]})),
            "gives an action mask in step and gave none in reset",
        ),
        (lambda: Scripted(space=spaces.Dict({"action_mask": CATEGORY})), "there is nothing in its observations"),
        (lambda: Scripted(actions=spaces.Box(0.0, 1.0, (0,))), "no numbers to decide on"),
        (lambda: Scripted(step=sys.exit), "failed in step: SystemExit"),
        (lambda: Scripted(reset=(ZERO, {"action_mask": [1, 1, 1]})), "mask has 3 entries, and its actions have 2"),
        (lambda: Scripted(reset=(ZERO, {"action_mask": [np.nan, 1]})), "mask holds numbers that are not finite"),
        (lambda: Scripted(reset=(ZERO, {"action_mask": [0, 0]})), "Scripted: its action mask allows no action"),
        (
            lambda: Scripted(actions=spaces.MultiDiscrete([2, 2]), reset=(ZERO, {"action_mask": ([0, 1], [0, 0])})),
            "allows no option of one of its actions",
        ),
        (
            lambda: Scripted(reset=(ZERO, {"action_mask": [1, 1]}), step=_after(ZERO)),
            "it gave an action mask before and none now",
        ),
    ],
)
def test_what_breaks_the_interface_is_one_line(faulty: Callable[[], gym.Env[Any, Any]], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        envs = SerialEnvironments(faulty, 1)
        size = envs.spaces.actions.mask_size if envs.spaces.masks else 0
        rows = Rows(envs.spaces.codec.empty(1), np.ones((1, size), np.bool_))
        envs.reset(0, rows)
        envs.send(0, np.zeros((1, envs.spaces.actions.columns), np.int64))
        envs.receive(0, rows)
    assert "\n" not in str(caught.value)
    assert "Scripted" in str(caught.value)


def test_an_environment_without_spaces_is_one_line() -> None:
    class Bare(gym.Env[Any, Any]):
        pass

    with pytest.raises(UserError, match="Bare failed in its spaces"):
        SerialEnvironments(Bare, 1)
