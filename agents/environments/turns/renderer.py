"""What an environment shows of a position: its own text or picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.environments.turns.reading import begin, play
from agents.environments.turns.stepper import Rules, Stepper


class Renderer:
    """An environment in a render mode of its own, "ansi" or "rgb_array", in which lines are replayed.

    Environments that draw are not copied: copies would share a surface, and drawing slows every step.
    Raises ValueError for an environment without the mode.
    """

    def __init__(self, rules: Rules, mode: str) -> None:
        self._rules = rules
        plain = rules.make()
        # Shimmy prints OpenSpiel's text, which is no render mode.
        self._prints = type(getattr(plain.unwrapped, "game_type", None)).__module__.startswith("pyspiel")
        if mode == "ansi" and self._prints:
            self._env: Any = plain
        elif mode in ((getattr(plain, "metadata", None) or {}).get("render_modes") or ()):
            self._env = rules.make(render_mode=mode)
        else:
            raise ValueError(f"environment {rules.profile.name} has no render mode {mode}")

    def text(self, line: bytes) -> str | None:
        """The text of a position; None if the environment gives none."""
        self._play(line)
        found = str(self._env.unwrapped.game_state) if self._prints else self._env.render()
        return found if isinstance(found, str) else None

    def picture(self, line: bytes) -> NDArray[np.uint8] | None:
        """uint8 [H, W, 3], the picture of a position; None if the environment gives none."""
        self._play(line)
        found = np.asarray(self._env.render())
        return found.copy() if found.ndim == 3 and found.shape[2] == 3 and found.dtype == np.uint8 else None

    def _play(self, line: bytes) -> None:
        Stepper.playing = None
        begin(self._env, self._rules.profile.seed)
        for move in np.frombuffer(line, np.int16).tolist():
            play(self._env, self._rules.profile.agents, move)
