"""A hyperparameter search: ordinary runs of a preset with sampled settings, in parallel on Ray.

Each trial is a run in runs/SWEEP/TRIAL, on storage that all nodes share. The trials are scheduled by Ray Tune
(`cluster.sweeps.ray_tune`) or by population based training (`cluster.sweeps.population_based_training`).
"""

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cluster.pool.connection import connect, gpus_per_worker
from cluster.pool.placement import PlacementGroup, Resources, placement_timeout_s
from cluster.sweeps import population_based_training, search_space
from cluster.sweeps.population_based_training import PopulationBasedTraining
from cluster.sweeps.ray_tune import TuneSearch
from cluster.sweeps.search_space import Dimension
from cluster.sweeps.trial import Trial, ranked, trial_result
from lab.config.loading import load_preset
from lab.config.sections import ExperimentConfig
from lab.config.suggestions import did_you_mean
from lab.errors import UserError
from lab.files import durable
from lab.run.interrupt import Interrupt
from lab.run.metrics import Catalogue
from lab.run.named_runs import by_path
from lab.run.tracking import LONGEST_NAME
from lab.terminal.streams import say
from lab.train import device as devices

RESULTS = "sweep.json"
_SCHEDULERS = ("asha", "pbt", "none")


@dataclass(frozen=True)
class SweepOptions:
    """Options of `lab sweep` (`cluster.cli.sweep`); None, 0 and "" stand for their defaults."""

    scheduler: str = "asha"
    trials: int | None = None
    metric: str = ""
    grace_period: int = 1
    intervals: int = 10
    max_concurrent: int = 0
    address: str = ""
    seed: int = 0


@dataclass(frozen=True)
class SweepResult:
    """The trials, best first by `metric`, and the signal that stopped the sweep, if one did."""

    trials: list[Trial]
    metric: str
    signal: signal.Signals | None


def run_sweep(
    preset: str,
    fixed: Sequence[str],
    space: Sequence[Dimension],
    options: SweepOptions,
    *,
    folder: Path,
    config: ExperimentConfig,
    catalogue: Catalogue,
) -> SweepResult:
    """Sample the trials, train them in `folder` and write `RESULTS`. SIGINT and SIGTERM stop them with checkpoints.

    fixed: overrides of all trials. config: of the preset with `fixed`. catalogue: of its kind. Raises UserError, before
    Ray starts for all errors that can be found without it.
    """
    if options.scheduler not in _SCHEDULERS:
        raise UserError(f"unknown scheduler {options.scheduler!r}; use {', '.join(_SCHEDULERS)}")
    metric, mode = objective(options.metric or config.evaluate.best or "", catalogue)
    runs_dir, folder = folder.parent, folder.resolve()
    if folder.exists():
        raise UserError(f"{folder} exists: give the sweep another --name")
    samples = search_space.sample_trials(space, options.trials, options.seed)
    trials = [Trial(f"{number:03d}", settings) for number, settings in enumerate(samples, start=1)]
    overrides = {
        trial.name: by_path(preset, [*fixed, *search_space.overrides(trial.settings)], runs_dir) for trial in trials
    }
    configs = {trial: load_preset(preset, given) for trial, given in overrides.items()}
    if any(one.cluster.used for one in configs.values()):
        raise UserError(
            "a trial runs in one process; leave cluster.workers at 0, cluster.learners at 1 and cluster.evaluator off"
        )
    if options.scheduler == "pbt":
        population_based_training.check(config, space, len(trials))
    device = devices.resolve(config.device, config.precision, config.threads)
    # `model_copy` does not validate: an address without workers is refused there. A trial has a worker's resources.
    concurrent = options.max_concurrent or len(trials)
    changes = {"address": options.address or None, "workers": concurrent, "learner_cpus": 0.0, "learner_gpus": 0.0}
    cluster = config.cluster.model_copy(update=changes)
    history: list[dict[str, Any]] = []
    with connect(cluster.model_copy(update={"workers": 0}), device) as connection, Interrupt() as interrupt:
        resources = Resources(cluster.worker_cpus, gpus_per_worker(cluster, device, connection.gpus), threads=1)
        PlacementGroup([resources], placement_timeout_s(cluster, connection.started), ["worker_cpus"]).close()
        say(f"sweep {folder.name}: {len(trials)} trials on {connection}, ranked by {metric} ({mode})")
        common = [f"tracking.group={folder.name[:LONGEST_NAME]}", *([] if resources.gpus else ["device=cpu"])]
        overrides = {trial: [*given, *common] for trial, given in overrides.items()}
        if options.scheduler == "pbt":
            pbt = PopulationBasedTraining(
                folder=folder,
                space=space,
                catalogue=catalogue,
                metric=metric,
                mode=mode,
                intervals=options.intervals,
                seed=options.seed,
                max_concurrent=concurrent,
                resources=resources,
            )
            first = {trial: load_preset(preset, given) for trial, given in overrides.items()}
            failed, history = pbt.run(first, trials, interrupt)
        else:
            tune = TuneSearch(
                folder=folder,
                catalogue=catalogue,
                metric=metric,
                mode=mode,
                grace_period=options.grace_period if options.scheduler == "asha" else None,
                max_concurrent=options.max_concurrent or None,
                resources=resources,
            )
            commands = {trial: _command(preset, given, trial, folder) for trial, given in overrides.items()}
            failed = tune.run(commands, interrupt)
    results = []
    for trial in trials:
        budget = configs[trial.name].budget
        is_failed = trial.name in failed
        results.append(trial_result(folder, trial, budget=budget, metric=metric, mode=mode, failed=is_failed))
    results = ranked(results, mode)
    record = {"metric": metric, "mode": mode, "trials": [asdict(trial) for trial in results], "intervals": history}
    durable.write_durably(folder / RESULTS, json.dumps(record, indent=1).encode())
    return SweepResult(results, metric, interrupt.signal)


def objective(metric: str, catalogue: Catalogue) -> tuple[str, Literal["min", "max"]]:
    """The metric and its better direction. Raises UserError for a metric that is unknown or has no better direction."""
    candidates = [name for name, found in catalogue.items() if found.higher_is_better is not None]
    if not metric:
        raise UserError(f"no metric ranks the trials; give --metric, one of {', '.join(candidates)}")
    if metric not in candidates:
        raise UserError(f"no metric {metric!r} with a better direction; {did_you_mean(metric, candidates)}")
    return metric, "max" if catalogue[metric].higher_is_better else "min"


def _command(preset: str, overrides: Sequence[str], trial: str, folder: Path) -> list[str]:
    preset = str(Path(preset).resolve()) if preset.endswith(".yaml") else preset
    train = [sys.executable, "-m", "lab", "train", preset, *overrides]
    return [*train, "--name", trial, "--resume", "--runs-dir", str(folder)]
