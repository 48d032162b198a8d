"""A video of the policy at each evaluation, in the run's `samples/`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.environments.factory import Description
from agents.environments.faults import one_line
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.evaluation import validation_seed
from agents.ppo.network import ActorCritic
from agents.ppo.watch import PICTURES, frames_per_second, picture, render_modes, rendered_episode
from lab.errors import UserError
from lab.plots.clips import save_clip
from lab.plots.media import Video

_LONGEST_S = 60
"""Seconds of an episode that are recorded: some environments have no time limit."""
_DRAWING_S = 20
"""Seconds after which a recording ends: without a graphics card drawing can take longer than the training between."""
_log = logging.getLogger(__name__)


class Recorder:
    """Records the first episode of evaluations. What prevents it is said once, and training goes on without videos."""

    def __init__(self, config: PPOConfig, environment: Description, directory: Path) -> None:
        self._config, self._folder = config, directory / "samples"
        self._modes, self._per_second = render_modes(environment), frames_per_second(environment)
        self._possible = True

    def record(self, network: ActorCritic, distribution: ActionDistribution, steps: int) -> list[Video]:
        """The video of the policy after so many steps; [] where none can be made."""
        if not self._possible:
            return []
        path = self._folder / f"{steps:010d}.mp4"
        try:
            if PICTURES not in self._modes:
                raise UserError(f"{self._config.env.id} renders no pictures")
            self._folder.mkdir(exist_ok=True)
            save_clip(path, self._frames(network, distribution), self._per_second)
        except Exception as error:  # rendering libraries raise whatever their drivers do
            self._possible = False
            reason = one_line(error) or type(error).__name__
            _log.warning("no videos of evaluations, training goes on: %s; evaluate.video=false leaves them out", reason)
            return []
        return [Video("eval/video", path, f"first episode after {steps:,} steps")]

    def _frames(self, network: ActorCritic, distribution: ActionDistribution) -> Iterator[NDArray[np.uint8]]:
        longest, start = _LONGEST_S * self._per_second, time.monotonic()
        episode = rendered_episode(
            network,
            distribution,
            self._config,
            PICTURES,
            deterministic=self._config.evaluate.deterministic,
            seed=validation_seed(self._config.seed),
        )
        try:
            for _, frame in zip(range(longest), episode, strict=False):
                yield picture(frame)
                if time.monotonic() - start > _DRAWING_S:
                    break
        finally:
            episode.close()
