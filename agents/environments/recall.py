"""Recall: a task that needs memory. A cue is shown once; after a delay it must be named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

ID = "rivals/Recall-v0"


class Recall(gym.Env[NDArray[np.float32], np.int64]):
    """One of `cues` cues in the first observation, `delay` steps without it, then a question.

    Observation: float32 [cues + 1], the cue as a one-hot vector in the first step, and a last entry that is 1 when the
    question is put. The answer to the question ends the episode: reward 1 for the cue, else 0; earlier actions have no
    effect. Without memory no policy does better than 1 / cues.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(self, cues: int = 4, delay: int = 8, render_mode: str | None = None) -> None:
        if cues < 2 or delay < 1:
            raise ValueError(f"cues={cues} and delay={delay} should be at least 2 and 1")
        self.cues, self.delay, self.render_mode = cues, delay, render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (cues + 1,), np.float32)
        self.action_space = spaces.Discrete(cues)
        self._cue = self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self._cue, self._step = int(self.np_random.integers(self.cues)), 0
        return self._observe(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        asked = self._step == self.delay
        self._step += 1
        return self._observe(), float(asked and int(action) == self._cue), asked, False, {}

    def state_dict(self) -> dict[str, int]:
        """The state between two steps, besides the generator."""
        return {"cue": self._cue, "step": self._step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue from `state_dict`. Raises ValueError for the state of another task."""
        if not (0 <= state["cue"] < self.cues and 0 <= state["step"] <= self.delay + 1):
            raise ValueError("the cue or the step is damaged")
        self._cue, self._step = state["cue"], state["step"]

    def render(self) -> str:
        return f"step {self._step} of {self.delay}: cue {self._cue if self._step == 0 else '-'}"

    def _observe(self) -> NDArray[np.float32]:
        seen = np.zeros(self.cues + 1, np.float32)
        if self._step == 0:
            seen[self._cue] = 1.0
        seen[-1] = float(self._step == self.delay)
        return seen


def register() -> None:
    """Make the task known to Gymnasium under `ID`."""
    if ID not in gym.registry:
        gym.register(ID, entry_point=f"{__name__}:{Recall.__name__}")
