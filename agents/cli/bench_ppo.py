"""`lab bench ppo`: where the time of PPO goes, and the limit that the environment alone sets."""

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from agents.environments.actions import ActionSpec
from agents.environments.environments import Environments, Rows
from agents.ppo.actors import LocalActors, make_environments
from agents.ppo.config import PPOConfig
from agents.ppo.experiment import PPO
from lab.cli.arguments import Json, Overrides, RunsDir, print_json
from lab.config.loading import validate
from lab.config.presets import merge, parse_overrides
from lab.errors import UserError
from lab.run import bench
from lab.run.bench import Stopwatch
from lab.run.lookup import RUNS_DIR
from lab.run.named_runs import load_by_path
from lab.run.scratch import scratch_experiment
from lab.terminal.consoles import Console
from lab.train.device import Device

_ROUNDS = 3
_ALONE = 256
"""Random actions of every environment that are drawn at once."""


def bench_ppo(
    what: Annotated[str, typer.Argument(metavar="ENV|PRESET", help="An environment's id, or a preset of PPO.")],
    overrides: Overrides = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Seconds per round, of which there are three.")] = 4.0,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Measure the environment steps per second of PPO, split into environment, policy, learner and rest.

    The limit is the speed of the same environments under random actions, without policy and learner.
    """
    config = _configuration(what, overrides or [], runs_dir)
    if config.cluster.workers:
        raise UserError(
            "lab bench ppo measures one process; lab bench rollouts measures workers: set cluster.workers=0"
        )
    with scratch_experiment(config) as (experiment, device):
        try:
            record = measure(experiment, device, seconds)
        finally:
            experiment.close()
    if as_json:
        print_json(record)
    else:
        _print(record)


def measure(experiment: PPO, device: Device, seconds: float) -> dict[str, Any]:
    """The record of one measurement: training and the environments alone in turns, then training with stopwatches.

    steps_per_s: of training, the median of the rounds. env_steps_per_s: of the environments alone. env_ratio: the first
    over the second. fraction_by_component: each component's fraction of the time; with processes "environment" is the
    time that the policy waits for them.
    """
    environments = make_environments(experiment.config)  # others: those of training expect the policy's actions
    _rate(experiment, device, 0.0)  # the first iteration is not timed: it allocates
    pairs = []
    try:
        alone = _RandomSteps(environments)
        for _ in range(_ROUNDS):
            pairs.append((_rate(experiment, device, seconds), environments.count * bench.rate(alone, seconds, device)))
    finally:
        environments.close()
    ours, limit = (float(np.median(rates)) for rates in zip(*pairs, strict=True))
    config = experiment.config
    return bench.environment(device) | {
        "env": config.env.id,
        "environments": environments.count,
        "processes": config.env.processes,
        "rollout_steps": config.learner.rollout_steps,
        "minibatch": config.learner.minibatch,
        "epochs": config.learner.epochs,
        "steps_per_s": ours,
        "env_steps_per_s": limit,
        "env_ratio": float(np.median([one / other for one, other in pairs])),
        "fraction_by_component": _components(experiment, device, seconds),
        "peak_memory_mb": bench.peak_memory_mb(),
    }


def _configuration(what: str, overrides: list[str], runs_dir: Path) -> PPOConfig:
    if re.search(r"-v\d+$", what):
        settings = {"budget": 1_000_000, "env": {"id": what}}
        return validate(PPOConfig, merge(settings, parse_overrides(overrides)), f"bench ppo {what}")
    config = load_by_path(what, overrides, runs_dir)
    if not isinstance(config, PPOConfig):
        raise UserError(f"{what} is of kind {config.kind!r}, not ppo")
    return config


def _rate(experiment: PPO, device: Device, seconds: float) -> float:
    """Environment steps per second of training over at least `seconds`, one iteration at least."""
    before, start = experiment.counters["steps"], time.perf_counter()
    while True:
        experiment.iterate()
        bench.synchronize(device)
        spent = time.perf_counter() - start
        if spent >= seconds:
            return (experiment.counters["steps"] - before) / spent


class _RandomSteps:
    """Steps all environments under random legal actions with each call, group by group as training does."""

    def __init__(self, environments: Environments) -> None:
        self._environments, self._random = environments, np.random.default_rng(0)
        spaces = environments.spaces
        self._rows = Rows(
            spaces.codec.empty(environments.count),
            np.ones((environments.count, spaces.actions.mask_size if spaces.masks else 0), np.bool_),
        )
        self._drawn: NDArray[Any] = np.zeros((0, 0))
        self._at = _ALONE
        environments.reset(0, self._rows)

    def __call__(self) -> None:
        environments = self._environments
        if self._at == _ALONE:
            self._drawn, self._at = self._draw((_ALONE, environments.count)), 0
        for group, rows in enumerate(environments.groups):
            actions = self._drawn[self._at, rows]
            if environments.spaces.masks:
                actions = _legal(self._random, environments.spaces.actions, self._rows.mask[rows])
            environments.send(group, actions)
        for group, rows in enumerate(environments.groups):
            environments.receive(group, self._rows.part(rows))
        self._at += 1

    def _draw(self, shape: tuple[int, int]) -> NDArray[Any]:
        spec = self._environments.spaces.actions
        if spec.continuous:
            low, high = (np.nan_to_num(bound, neginf=-1.0, posinf=1.0) for bound in (spec.low, spec.high))
            return self._random.uniform(low, high, (*shape, spec.columns)).astype(np.float32)
        return self._random.integers(0, spec.sizes, (*shape, spec.columns))


def _legal(random: np.random.Generator, spec: ActionSpec, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Random legal actions [n, D] under masks [n, M]."""
    scores = np.where(mask, random.random(mask.shape), -1.0)
    parts = np.split(scores, np.cumsum(spec.sizes)[:-1], axis=1)
    return np.stack([part.argmax(1) for part in parts], 1)


class _TimedEnvironments:
    """The same environments, with stopwatches on sending and receiving."""

    def __init__(self, environments: Environments, device: Device) -> None:
        self._environments = environments
        self.send, self.receive = Stopwatch(environments.send, device), Stopwatch(environments.receive, device)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environments, name)


def _components(experiment: PPO, device: Device, seconds: float) -> dict[str, float]:
    """Fractions of the time of training, measured apart, because timing costs time."""
    actors, learner = experiment.actors, experiment.learner
    assert isinstance(actors, LocalActors)
    collector = actors.collector
    environments = collector.environments
    timed = _TimedEnvironments(environments, device)
    collect, update = Stopwatch(collector.collect, device), Stopwatch(learner.update, device)
    collector.environments = timed  # type: ignore[assignment]
    collector.collect, learner.update = collect, update  # type: ignore[method-assign]
    start = time.perf_counter()
    try:
        _rate(experiment, device, seconds)
    finally:
        del collector.collect, learner.update
        collector.environments = environments
    total = time.perf_counter() - start
    environment = timed.send.seconds + timed.receive.seconds
    return {
        "environment": environment / total,
        "policy": (collect.seconds - environment) / total,
        "learner": update.seconds / total,
        "rest": (total - collect.seconds - update.seconds) / total,
    }


def _print(record: dict[str, Any]) -> None:
    speed = SimpleNamespace(**record)
    console = Console()
    processes = f"{speed.processes} processes" if speed.processes else "in process"
    console.say(
        f"{speed.env}, {speed.environments} environments {processes} x {speed.rollout_steps} steps, minibatches of "
        f"{speed.minibatch}, {speed.epochs} epochs, {speed.device}, {speed.threads} threads"
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("training", f"{speed.steps_per_s:,.0f} steps/s", f"{speed.env_ratio:.2f} of the environment alone")
    table.add_row("environment alone", f"{speed.env_steps_per_s:,.0f} steps/s", "random actions")
    parts = ", ".join(f"{name} {part:.0%}" for name, part in speed.fraction_by_component.items())
    table.add_row("time", parts)
    if speed.peak_memory_mb is not None:
        table.add_row("peak memory", f"{speed.peak_memory_mb:,.0f} MB")
    console.print(table)
