"""Episodes of a policy shown: in a window, as text, or as pictures for a clip."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.environments.factory import Description, in_process
from agents.environments.faults import failed, name_of
from agents.environments.quiet import quiet
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.evaluation import held_out_seed, play
from agents.ppo.network import ActorCritic
from agents.ppo.policy import Policy
from agents.ppo.trained import TrainedPolicy
from lab.errors import UserError
from lab.plots.clips import save_clip

PICTURES, WINDOW, TEXT = "rgb_array", "human", "ansi"


def render_modes(environment: Description) -> list[str]:
    """The render modes of an environment."""
    return list(environment.metadata.get("render_modes") or [])


def frames_per_second(environment: Description) -> int:
    """Frames per second at which an environment is meant to be seen."""
    return max(1, int(environment.metadata.get("render_fps") or 30))


def rendered_episode(
    network: ActorCritic,
    distribution: ActionDistribution,
    config: PPOConfig,
    mode: str,
    *,
    deterministic: bool,
    seed: int,
) -> Generator[Any, None, float]:
    """Play one episode and yield what the environment renders before each step; returns the return.

    It is the first episode of `agents.ppo.evaluation.play_episodes` with this seed.
    """
    if mode == PICTURES:
        _draw_without_display()
    environments = in_process(config.env, 1, render_mode=mode)
    env = environments.environment(0)
    try:
        # An environment of several agents has a row for each.
        policy = Policy(network, distribution, environments.count, seed=None if deterministic else seed)
        playing = play(environments, policy, seed, config.evaluate.max_steps, show=lambda: _render(env))
        returns = yield from playing
        return float(returns.returns[0])
    finally:
        environments.close()


def _draw_without_display() -> None:
    """Pictures need no display; SDL complains without one, and MuJoCo fails unless it draws through EGL."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    if _is_headless():
        os.environ.setdefault("MUJOCO_GL", "egl")


def _is_headless() -> bool:
    return sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _render(env: Any) -> Any:
    """What the environment renders. Raises UserError for whatever rendering libraries raise."""
    name = name_of(env)
    if name.startswith("MinAtar/") and importlib.util.find_spec("seaborn") is None:
        raise UserError(f"pictures of {name} need seaborn: pip install seaborn")
    try:
        with quiet():
            return env.render()
    except Exception as error:
        raise failed(env, "render", error) from error


def watch_episodes(
    policy: TrainedPolicy, *, episodes: int, out: Path | None, deterministic: bool, seed: int
) -> Iterator[str]:
    """Show episodes and yield lines to print; with `out` they become one clip. Raises UserError where it cannot."""
    modes = render_modes(policy.environment)
    mode = _choose_mode(modes, policy.config.env.id, out)
    returns: list[float] = []

    def frames() -> Iterator[Any]:
        for number in range(episodes):
            shown = rendered_episode(
                policy.network,
                policy.distribution,
                policy.config,
                mode,
                deterministic=deterministic,
                seed=held_out_seed(seed + number),
            )
            returns.append((yield from shown))

    if out is not None:
        count = save_clip(out, map(picture, frames()), frames_per_second(policy.environment))
        yield f"{out}: {count:,} frames"
    else:
        for frame in frames():
            if isinstance(frame, str):
                yield frame
    yield "return of each episode: " + ", ".join(f"{total:.4g}" for total in returns)


def picture(frame: Any) -> NDArray[np.uint8]:
    """A rendered frame as uint8 [H, W, 3]. Raises UserError for what is no picture."""
    pixels = np.asarray(frame)
    if pixels.ndim != 3 or pixels.shape[2] < 3 or pixels.dtype == object:
        found = type(frame).__name__ if pixels.ndim == 0 else f"an array of shape {list(pixels.shape)}"
        raise UserError(f"render gave {found} where a picture [height, width, 3] is expected")
    return np.ascontiguousarray(pixels[..., :3], dtype=np.uint8)


def _choose_mode(modes: list[str], name: str, out: Path | None) -> str:
    if out is not None:
        if PICTURES not in modes:
            raise UserError(f"{name} renders no pictures (it has {', '.join(modes) or 'no render mode'})")
        return PICTURES
    if WINDOW in modes:
        if not _is_headless() or os.environ.get("SDL_VIDEODRIVER"):
            return WINDOW
        if TEXT not in modes:
            raise UserError("there is no display for a window: write a clip with --out FILE.mp4 (or .gif)")
    if TEXT in modes:
        return TEXT
    raise UserError(f"{name} has no render mode that can be shown here ({', '.join(modes) or 'none'})")
