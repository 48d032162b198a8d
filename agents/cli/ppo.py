"""Verbs of PPO runs: `lab eval`, `lab predict`, `lab watch`, `lab export`."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from agents.ppo.evaluation import held_out_seed, play_episodes
from agents.ppo.export import export as write_export
from agents.ppo.prediction import predict_one
from agents.ppo.statistics import summarise
from agents.ppo.trained import TrainedPolicy, load_policy
from agents.ppo.watch import watch_episodes
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.export import export_verb
from lab.cli.options import (
    Checkpoint,
    DeviceName,
    EvalSeed,
    Overwrite,
    check_absent,
    check_suffix_of,
    device_of,
)
from lab.errors import UserError
from lab.files.plain import parse_json, read_regular
from lab.plots.clips import CLIPS
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console
from lab.train.device import resolve

Sampled = Annotated[
    bool | None,
    typer.Option(
        "--sampled/--deterministic",
        help="Sample actions, as in training, or take the most probable ones.",
        show_default="as in the run's evaluations",
    ),
]
_BARS, _WIDTH = 10, 40
_LARGEST_FILE = 1 << 26  # bytes of an observation


def evaluate(
    run: Run,
    episodes: Annotated[int, typer.Option("-n", "--episodes", min=1, max=10_000, help="Episodes to play.")] = 100,
    sampled: Sampled = None,
    seed: EvalSeed = 0,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Play whole episodes and show the mean return with its 95% interval, and how returns are distributed."""
    policy = load_policy(find_run(run, runs_dir), device_of(device), checkpoint)
    deterministic = _deterministic(policy, sampled)
    played = play_episodes(
        policy.network,
        policy.distribution,
        policy.config,
        episodes=episodes,
        deterministic=deterministic,
        seed=held_out_seed(seed),
    )
    found = summarise(played.returns)
    if as_json:
        print_json(
            {
                "run": run,
                "environment": policy.config.env.id,
                "episodes": found.episodes,
                "checkpoint": policy.name.rpartition(":")[2],
                "actions": "most probable" if deterministic else "sampled",
                "return": {
                    **{"mean": found.mean, "interval_95": found.interval and list(found.interval), "std": found.std},
                    **{"minimum": found.minimum, "quartiles": list(found.quartiles), "maximum": found.maximum},
                },
                "length": float(played.lengths.mean()),
            }
        )
        return
    console = Console()
    console.say(
        f"{policy.name} in {policy.config.env.id}: {found.episodes:,} episodes, "
        f"{'most probable' if deterministic else 'sampled'} actions"
    )
    spread = ""
    if found.interval is not None:
        low, high = found.interval
        spread = f", 95% interval of the mean {low:.4g} to {high:.4g}; standard deviation {found.std:.3g}"
    console.say(f"return {found.mean:.4g}{spread}; mean length {played.lengths.mean():.4g} steps")
    console.print(_distribution(played.returns))


def predict(
    run: Run,
    observation: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="An observation as JSON, such as '[0.1, 0, -0.02, 0]', or a file that holds one.",
            show_default=False,
        ),
    ],
    mask: Annotated[
        str | None,
        typer.Option("--mask", help="Legal options as JSON, such as '[1, 0, 1]'; all by default.", show_default=False),
    ] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Predict the action for one observation, with its distribution and the value.

    A recurrent policy sees the observation as the first of an episode.
    """
    given, legal = _read_json(observation, "INPUT"), None if mask is None else _read_json(mask, "--mask")
    policy = load_policy(find_run(run, runs_dir), device_of(device), checkpoint)
    record = predict_one(policy, given, legal)
    if as_json:
        print_json(
            {"run": run, "checkpoint": policy.name.rpartition(":")[2], "environment": policy.config.env.id, **record}
        )
        return
    console = Console()
    console.say(f"{policy.name} in {policy.config.env.id}: action {json.dumps(record.pop('action'))}")
    for name, value in record.items():
        console.say(f"{name.replace('_', ' ')}: {json.dumps(_rounded(value))}")


def watch(
    run: Run,
    episodes: Annotated[int, typer.Option("-n", "--episodes", min=1, max=1000, help="Episodes to show.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write FILE.mp4 or FILE.gif instead of opening a window.")
    ] = None,
    sampled: Sampled = None,
    seed: EvalSeed = 0,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    overwrite: Overwrite = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Show the policy in its environment: in a window, as text where the environment has no pictures, or as a file."""
    if out is not None:
        check_suffix_of("--out", out, CLIPS)
        check_absent(out, overwrite)
    policy = load_policy(find_run(run, runs_dir), device_of(device), checkpoint)
    console = Console()
    deterministic = _deterministic(policy, sampled)
    for line in watch_episodes(policy, episodes=episodes, out=out, deterministic=deterministic, seed=seed):
        console.say(line)


@export_verb()
def export(run: Path, checkpoint: str, out: Path) -> float:
    """Export the policy with its normalisation to ONNX or torch.export: observations -> actions and values."""
    return write_export(load_policy(run, resolve("cpu", "fp32"), checkpoint), out)


def _deterministic(policy: TrainedPolicy, sampled: bool | None) -> bool:
    return policy.config.evaluate.deterministic if sampled is None else not sampled


def _read_json(text: str, where: str) -> Any:
    """A JSON text, or that of a file of this name. Raises UserError."""
    try:
        if text.lstrip()[:1] not in tuple("[{-0123456789") and Path(text).suffix:
            text = read_regular(Path(text), _LARGEST_FILE).decode("utf-8")
        return parse_json(text)
    except OSError as error:
        raise UserError(f"{where} {text!r} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a file's encoding too
        raise UserError(f"{where} is not JSON: {' '.join(str(error).split())}; give numbers as in [0.1, 0.2]") from None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}")


def _distribution(returns: "np.ndarray") -> Table:
    """A histogram of returns in ten bars."""
    table = Table("return", "episodes", "", title="distribution of the return", title_justify="left")
    counts, edges = np.histogram(returns, bins=_BARS if returns.min() < returns.max() else 1)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        table.add_row(f"{low:.4g} to {high:.4g}", str(count), "#" * round(_WIDTH * count / counts.max()))
    return table
