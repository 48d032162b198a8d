"""Verbs of PPO runs: `lab eval`, `lab watch`, `lab export`."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from agents.ppo.evaluation import play_episodes
from agents.ppo.export import export as write_export
from agents.ppo.statistics import summarise
from agents.ppo.trained import load_policy
from agents.ppo.watch import watch_episodes
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.export import export_verb
from lab.cli.options import Checkpoint, DeviceName, EvalSeed, device_of
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console
from lab.train.device import resolve

Sampled = Annotated[
    bool, typer.Option("--sampled", help="Sample actions, as in training, instead of taking the most probable ones.")
]
_BARS, _WIDTH = 10, 40


def evaluate(
    run: Run,
    episodes: Annotated[int, typer.Option("-n", "--episodes", min=1, max=10_000, help="Episodes to play.")] = 100,
    sampled: Sampled = False,
    seed: EvalSeed = 0,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Play whole episodes and show the mean return with its 95% interval, and how returns are distributed."""
    policy = load_policy(find_run(run, runs_dir), device_of(device), checkpoint)
    played = play_episodes(
        policy.network,
        policy.distribution,
        policy.config,
        episodes=episodes,
        deterministic=not sampled,
        seed=seed,
    )
    found = summarise(played.returns)
    if as_json:
        print_json(
            {
                "run": run,
                "environment": policy.config.env.id,
                "episodes": found.episodes,
                "actions": "sampled" if sampled else "most probable",
                "return": {
                    **{"mean": found.mean, "interval_95": list(found.interval), "std": found.std},
                    **{"minimum": found.minimum, "quartiles": list(found.quartiles), "maximum": found.maximum},
                },
                "length": float(played.lengths.mean()),
            }
        )
        return
    console = Console()
    console.say(
        f"{policy.name} in {policy.config.env.id}: {found.episodes:,} episodes, "
        f"{'sampled' if sampled else 'most probable'} actions"
    )
    console.say(
        f"return {found.mean:.4g}, 95% interval of the mean {found.interval[0]:.4g} to {found.interval[1]:.4g}; "
        f"standard deviation {found.std:.3g}; mean length {played.lengths.mean():.4g} steps"
    )
    console.print(_distribution(played.returns))


def watch(
    run: Run,
    episodes: Annotated[int, typer.Option("-n", "--episodes", min=1, max=1000, help="Episodes to show.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write FILE.mp4 or FILE.gif instead of opening a window.")
    ] = None,
    sampled: Sampled = False,
    seed: EvalSeed = 0,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Show the policy in its environment: in a window, as text where the environment has no pictures, or as a file."""
    policy = load_policy(find_run(run, runs_dir), device_of(device), checkpoint)
    console = Console()
    for line in watch_episodes(policy, episodes=episodes, out=out, deterministic=not sampled, seed=seed):
        console.say(line)


@export_verb()
def export(run: Path, checkpoint: str, out: Path) -> float:
    """Export the policy with its normalisation to ONNX or torch.export: observations -> actions and values."""
    return write_export(load_policy(run, resolve("cpu", "fp32"), checkpoint), out)


def _distribution(returns: "np.ndarray") -> Table:
    """A histogram of returns in ten bars."""
    table = Table("return", "episodes", "", title="distribution of the return", title_justify="left")
    counts, edges = np.histogram(returns, bins=_BARS if returns.min() < returns.max() else 1)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        table.add_row(f"{low:.4g} to {high:.4g}", str(count), "#" * round(_WIDTH * count / counts.max()))
    return table
