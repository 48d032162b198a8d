"""`lab sweep`: ordinary runs of a preset at many settings, through Ray Tune, which stops those that fall behind.

Every trial is a `lab train` of its own in runs/<sweep>/<trial>, which must be on storage that all nodes see; one that
is stopped early gets SIGTERM, leaves a checkpoint and can be continued with `lab resume`.
"""

import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from cluster import space
from cluster.connect import connect, gpu_share, import_ray
from lab import device as devices
from lab import disk
from lab.config import ExperimentConfig, load_preset
from lab.errors import UserError
from lab.metrics import LOOP_METRICS, Catalogue, read
from lab.nearest import did_you_mean
from lab.registry import find_kind, load
from lab.run_dir import CONFIG, RunDir, check_name
from lab.verbs import RUNS_DIR, RunsDir
from lab.verbs.train import run_stem

RESULTS = "sweep.json"
_REDUCTION = 3  # ASHA: of those that have reported a value 1, 3, 9 ... times the best third goes on
_MOST_VALUES = 3**9
_MAX_FAILURES = 3  # of one trial, whose node went or whose process was killed: it goes on from its checkpoint
_LOOK_S = 0.5
_ENDS = (0, 2, 130, 143)  # complete, refused, interrupted: what comes again when tried again
_STOP_PATIENCE_S = 120.0  # for the iteration in hand and its checkpoint


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: its name, the settings searched, and how it went."""

    name: str
    settings: dict[str, Any]
    state: str = "not started"
    iteration: int = 0
    value: float | None = None


def sweep(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A name from `lab list`, or a YAML file's path.")],
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=RANGE...",
            help="choice(a, b), uniform(l, h), loguniform(l, h) or randint(l, h); KEY=VALUE holds for all.",
        ),
    ],
    trials: Annotated[
        int, typer.Option(min=0, help="How many.", show_default=f"the grid of choices, else {space.SAMPLED}")
    ] = 0,
    metric: Annotated[str, typer.Option(help="What the best is best at.", show_default="evaluate.best")] = "",
    scheduler: Annotated[str, typer.Option(help="asha stops trials that fall behind; none does not.")] = "asha",
    grace: Annotated[int, typer.Option(min=1, help="Values of the metric before asha may stop a trial.")] = 1,
    concurrent: Annotated[int, typer.Option(min=0, help="Trials at a time.", show_default="as many as fit")] = 0,
    address: Annotated[str, typer.Option(help="A running cluster, host:port.", show_default="start one here")] = "",
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the sweep.", show_default="PRESET-sweep-001, -002 ...")] = "",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Train a preset at many settings and print which are best."""
    ranges, fixed = space.parse(settings)
    if not ranges:
        raise UserError("nothing to search: give a range, as in training.learning_rate=loguniform(1e-4, 1e-2)")
    if scheduler not in ("asha", "none"):
        raise UserError(f"unknown scheduler {scheduler!r}; use asha or none")
    config = load_preset(preset, fixed)
    metric, mode = objective(config, metric or config.evaluate.best or "")
    name = check_name(name) if name else RunDir.next_numbered(runs_dir, f"{run_stem(preset)}-sweep")
    folder = (runs_dir / name).resolve()
    if folder.exists():
        raise UserError(f"{folder} exists: give the sweep another --name")
    plan = [Trial(f"{number:03d}", point) for number, point in enumerate(space.points(ranges, trials, seed), start=1)]
    for trial in plan:
        _check(load_preset(preset, [*fixed, *space.overrides(trial.settings)]))
    resolved = devices.resolve(config.device, config.precision, config.threads)
    # Not validated: an address alone is for runs with workers.
    cluster = config.cluster.model_copy(update={"address": address or None, "workers": concurrent or len(plan)})
    with connect(cluster.model_copy(update={"workers": 0}), resolved) as connection:
        gpus = gpu_share(cluster, resolved, connection.gpus)
        print(f"sweep {name}: {len(plan)} trials on {connection}, the best by {metric} ({mode})", flush=True)
        commands = {trial.name: _command(preset, fixed, trial, folder, name, gpus) for trial in plan}
        resources = {"cpu": cluster.worker_cpus, "gpu": gpus}
        search = _Search(folder, metric, mode, scheduler == "asha", grace, concurrent or None, resources)
        failed = search.run(commands)
    results = ranked([outcome(folder, trial, metric, mode, trial.name in failed) for trial in plan], mode)
    record = {"metric": metric, "mode": mode, "trials": [vars(trial) for trial in results]}
    disk.write_durably(folder / RESULTS, json.dumps(record, indent=1).encode())
    _print(results, metric, folder)
    if any(trial.state == "failed" for trial in results):
        raise typer.Exit(1)


def objective(config: ExperimentConfig, metric: str) -> tuple[str, Literal["min", "max"]]:
    """The metric and which way is better. Raises UserError for one that is not the kind's or has no better."""
    kind = find_kind(config.kind)
    catalogue: Catalogue = LOOP_METRICS | load(kind.catalogue) if kind.catalogue else LOOP_METRICS
    judged = [name for name, found in catalogue.items() if found.higher_is_better is not None]
    if not metric:
        raise UserError(f"what makes a trial the best? give --metric, one of {', '.join(judged)}")
    if metric not in judged:
        raise UserError(f"no metric {metric!r} in which more or less is better; {did_you_mean(metric, judged)}")
    return metric, "max" if catalogue[metric].higher_is_better else "min"


def outcome(folder: Path, trial: Trial, metric: str, mode: str, failed: bool) -> Trial:
    """How a trial went, from its run directory."""
    path = folder / trial.name
    if not (path / CONFIG).is_file():
        return Trial(trial.name, trial.settings, "failed" if (folder / f"{trial.name}.log").exists() else trial.state)
    entries = read(path / "metrics.jsonl")
    values = [entry.metrics[metric] for entry in entries if math.isfinite(entry.metrics.get(metric, math.nan))]
    failed = failed or (path / "debug").exists() or not any((path / "checkpoints").iterdir())
    state = "failed" if failed else "complete" if RunDir.open(path).finished else "stopped"
    iteration = max((entry.iteration for entry in entries), default=0)
    best = (max(values) if mode == "max" else min(values)) if values else None
    return Trial(trial.name, trial.settings, state, iteration, best)


def ranked(trials: Sequence[Trial], mode: str) -> list[Trial]:
    """The best first, those without a value last."""
    sign = -1.0 if mode == "max" else 1.0
    return sorted(trials, key=lambda trial: (trial.value is None, sign * (trial.value or 0.0)))


def _check(config: ExperimentConfig) -> None:
    if config.cluster.workers or config.cluster.learners > 1:
        raise UserError("a trial runs in one process; leave cluster.workers at 0 and cluster.learners at 1")


def _command(preset: str, fixed: Sequence[str], trial: Trial, folder: Path, group: str, gpus: float) -> list[str]:
    device = [] if gpus else ["device=cpu"]
    settings = [*fixed, *space.overrides(trial.settings), f"tracking.group={group}", *device]
    preset = str(Path(preset).resolve()) if preset.endswith(".yaml") else preset
    train = [sys.executable, "-m", "lab", "train", preset, *settings]
    return [*train, "--name", trial.name, "--resume", "--runs-dir", str(folder)]


@dataclass(frozen=True)
class _Search:
    """Trials through Ray Tune."""

    folder: Path
    metric: str
    mode: str
    asha: bool
    grace: int
    concurrent: int | None
    resources: dict[str, float]

    def run(self, commands: dict[str, list[str]]) -> set[str]:
        """Names of those that failed."""
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
        import_ray()
        from ray import tune
        from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

        scheduler = FIFOScheduler()
        if self.asha:
            scheduler = AsyncHyperBandScheduler(
                max_t=_MOST_VALUES, grace_period=self.grace, reduction_factor=_REDUCTION
            )
        trainable = tune.with_resources(
            tune.with_parameters(_trainable(), commands=commands, folder=str(self.folder), metric=self.metric),
            self.resources,
        )
        with tempfile.TemporaryDirectory() as storage:
            tuner = tune.Tuner(
                trainable,
                param_space={"trial": tune.grid_search(list(commands))},
                tune_config=tune.TuneConfig(
                    metric="value", mode=self.mode, scheduler=scheduler, max_concurrent_trials=self.concurrent
                ),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=storage,
                    verbose=0,
                    callbacks=[_reporter()],
                    failure_config=tune.FailureConfig(max_failures=_MAX_FAILURES),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the runs keep their own
                ),
            )
            return {result.config["trial"] for result in tuner.fit() if result.error}


def _trainable() -> type:
    """A class, for Tune calls its `cleanup` and waits where it would cut a function off."""
    from ray import tune

    class RunTrainable(tune.Trainable):
        """One `lab train`; a step is the next value of the metric."""

        def setup(self, config: dict[str, Any], commands: Any = None, folder: str = "", metric: str = "") -> None:
            self._run, self._metric = Path(folder) / config["trial"], metric
            self._seen, self._latest = 0, {"value": float("nan"), "iteration": 0}
            self._log = Path(folder) / f"{config['trial']}.log"
            self._log.parent.mkdir(parents=True, exist_ok=True)
            _wait_for_predecessor(self._run)
            with self._log.open("a") as file:
                self._process = subprocess.Popen(
                    commands[config["trial"]], stdout=file, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent
                )

        def step(self) -> dict[str, Any]:
            while True:
                code = self._process.poll()
                found = [entry for entry in read(self._run / "metrics.jsonl") if self._metric in entry.metrics]
                if len(found) > self._seen:
                    entry, self._seen = found[self._seen], self._seen + 1
                    self._latest = {"value": entry.metrics[self._metric], "iteration": entry.iteration}
                    return self._latest
                if code is not None:
                    if code not in _ENDS:
                        raise RuntimeError(f"exit code {code}; see {self._log}")
                    return self._latest | {"done": True}
                time.sleep(_LOOK_S)

        def cleanup(self) -> None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
                try:
                    self._process.wait(_STOP_PATIENCE_S)
                except subprocess.TimeoutExpired:
                    self._process.kill()

    return RunTrainable


def _wait_for_predecessor(run: Path) -> None:
    """A worker that died has told its process to stop, which may still be saving."""
    deadline = time.monotonic() + _STOP_PATIENCE_S
    while (run / CONFIG).is_file() and time.monotonic() < deadline:
        with suppress(UserError), RunDir.open(run) as held:
            held.lock()
            return
        time.sleep(_LOOK_S)


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the worker is gone, so that its run does not outlive a cluster (Linux)."""
    pr_set_pdeathsig = 1
    getattr(ctypes.CDLL(None), "prctl", lambda *_: 0)(pr_set_pdeathsig, signal.SIGTERM)


def _reporter() -> Any:
    from ray import tune

    class Reporter(tune.Callback):
        """A line for every trial that has ended."""

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            last = {"value": math.nan, "iteration": 0} | (trial.last_result or {})
            print(
                f"trial {trial.config['trial']}: {last['value']:.5g} at iteration {last['iteration']}",
                flush=True,
            )

    return Reporter()


def _print(trials: Sequence[Trial], metric: str, folder: Path) -> None:
    keys = list(trials[0].settings)
    table = Table("trial", *keys, metric, "iteration", "state")
    for trial in trials:
        value = "" if trial.value is None else f"{trial.value:.5g}"
        shown = [f"{found:.4g}" if isinstance(found, float) else str(found) for found in trial.settings.values()]
        table.add_row(trial.name, *shown, value, str(trial.iteration), trial.state)
    Console().print(table)
    print(f"{folder / RESULTS}; a stopped trial goes on with `lab resume {folder / trials[0].name}`")
