"""`lab bench rollouts`: print the speed of PPO's rollout workers on Ray."""

from dataclasses import asdict
from typing import Annotated

import typer

from agents.ppo.config import PPOConfig
from cluster.bench_rollouts import RolloutSpeed, measure
from cluster.cli.tables import print_table
from lab.cli.arguments import Json, Overrides, print_json
from lab.config.loading import load_preset
from lab.errors import UserError
from lab.terminal.consoles import Console
from lab.train import device as devices


def bench_rollouts(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A preset of kind ppo.", show_default=False)],
    overrides: Overrides = None,
    workers: Annotated[int, typer.Option(min=1, help="Largest number of workers; all smaller ones are measured.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of each measurement, s.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each, alternating.")] = 3,
    as_json: Json = False,
) -> None:
    """Measure rollouts by workers on Ray, each with one CPU thread, and by plain processes, without training."""
    own = [f"cluster.workers={workers}", "cluster.worker_threads=1", "device=cpu", "threads=1"]
    config = load_preset(preset, [*(overrides or []), *own])
    if not isinstance(config, PPOConfig):
        raise UserError(f"preset {preset!r} is of kind {config.kind!r}; rollout workers are of kind 'ppo'")
    device = devices.resolve("cpu", "fp32", 1)
    devices.apply(device)
    speed = measure(config, device, seconds=seconds, rounds=rounds)
    if as_json:
        print_json(asdict(speed))
    else:
        _print(speed)


def _print(speed: RolloutSpeed) -> None:
    Console().say(
        f"{speed.env}, {speed.environments} environments in all, rollouts of {speed.rollout_steps} steps, "
        f"{speed.threads} threads per worker"
    )
    rows = [
        [
            str(row.workers),
            f"{row.steps_per_s:,.0f}",
            f"{row.plain_steps_per_s:,.0f}",
            f"{row.efficiency:.2f}",
            f"{row.speedup:.2f}",
        ]
        for row in speed.rows
    ]
    print_table(["workers", "steps/s", "plain processes, steps/s", "efficiency", "speedup"], rows)
