"""The composition root: a run's cluster, actors, evaluator and experiment are built here and given to the run loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from lab.config.loading import dump, dump_changes, load_run_config
from lab.config.registry import CONNECT, EVALUATOR, LEARNERS, RAY_METRICS, find_kind, load
from lab.config.sections import ExperimentConfig
from lab.run import checkpoint, metrics
from lab.run.evaluator import Evaluator, EvaluatorProcess
from lab.run.experiment import Experiment, Follower
from lab.run.loop import run
from lab.run.run_dir import RunDir
from lab.terminal import streams
from lab.terminal.streams import say, say_next
from lab.train import device, random_state
from lab.train.config import ScheduledOptimizerConfig
from lab.train.device import Device
from lab.train.learning_rate import reaches_zero_at

StartActors = Callable[[Any, Device], AbstractContextManager[Any]]
"""A context manager `(config, device)` of actors on the cluster, which the kind's `build` takes."""

# Of a verb, besides the run.
_MORE_ARGUMENTS = {"predict": " INPUT", "export": " --out FILE.onnx", "say": " TEXT --out FILE.wav"}


def start_run(
    config: ExperimentConfig, runs_dir: Path, name: str, *, overwrite: bool, actors: StartActors | None = None
) -> int:
    """Create a run and train it; return the exit code. `actors` replaces what the registry has for the kind."""
    resolved = _resolve(config)
    # The cluster first: without it no run is created.
    with (
        streams.guarded(outlive=True),
        _cluster(config, resolved),
        RunDir.create(runs_dir, name, dump(config), overwrite) as run_dir,
    ):
        say(f"run {run_dir.name} in {run_dir.path}")
        return _train(config, run_dir, resolved, actors)


def continue_run(path: Path, overrides: Sequence[str], *, actors: StartActors | None = None) -> int:
    """Resume a stopped run under overrides of resumable keys; return the exit code."""
    with streams.guarded(outlive=True), RunDir.open(path) as run_dir:
        run_dir.check_layout()
        config = load_run_config(run_dir.config_path, overrides)
        resolved = _resolve(config)
        run_dir.lock()
        checkpoint.check_settings(run_dir.checkpoints, run_dir.origin)
        if overrides:
            run_dir.write_config(dump_changes(run_dir.config_path, config))
        if run_dir.finished and _settle(run_dir):
            if run_dir.stopped_early:
                say(f"run {run_dir.name} stopped early: {run_dir.stopped_early}")
                say(f"train it further with `lab resume {run_dir.path} evaluate.patience=N` (null: to its budget)")
            else:
                say(f"run {run_dir.name} is complete: its budget of {config.budget:,} is reached")
                say(_how_to_go_on(config, run_dir))
            _print_next(config, run_dir)
            return 0
        say(f"continuing run {run_dir.name} in {run_dir.path}")
        with _cluster(config, resolved):
            return _train(config, run_dir, resolved, actors)


def _settle(run_dir: RunDir) -> bool:
    """Finish what a crash at the end left; returns whether the newest checkpoint that is intact is the last of the run.

    Raises CheckpointError when none is intact.
    """
    origin = run_dir.origin
    newest = next(checkpoint.newest_first(run_dir.checkpoints, say, origin), None)
    if newest is None:
        checkpoint.latest_valid(run_dir.checkpoints, lambda _: None, origin)  # says more where it raises
        raise checkpoint.none_valid(run_dir.checkpoints)
    if not run_dir.is_finished(newest.manifest):
        return False
    best_at = newest.manifest.meta.get("best_at")
    checkpoint.settle(newest.path, best_at=best_at, pending=None, report=say, origin=origin)
    if lost := metrics.missing_until(run_dir.metrics_path, newest.manifest.iteration):
        say(lost)
    return True


@contextlib.contextmanager
def built(
    config: ExperimentConfig, directory: Path, device: Device, actors: StartActors | None = None
) -> Iterator[Experiment]:
    """The experiment of a run directory, with actors on the cluster if it has workers; all are closed on exit."""
    kind = find_kind(config.kind)
    with contextlib.ExitStack() as stack:
        parts = {}
        if config.cluster.workers:
            parts["actors"] = stack.enter_context((actors or load(kind.actors))(config, device))
        yield stack.enter_context(contextlib.closing(load(kind.build)(config, directory, device, **parts)))


@contextlib.contextmanager
def evaluator_of(config: ExperimentConfig, directory: Path, learner: Device) -> Iterator[Evaluator | None]:
    """The evaluator beside training, on the cluster or on `evaluate.device`; None without one."""
    target = find_kind(config.kind).evaluator
    if config.cluster.evaluator:
        with load(EVALUATOR)(config, directory, learner, target) as evaluator:
            yield evaluator
    elif config.evaluate.device is not None:
        # A run in fp32 is evaluated in fp32; bf16 only where the device has it.
        precision = "fp32" if config.precision == "fp32" else "auto"
        own = device.resolve(config.evaluate.device, precision, config.threads)
        with contextlib.closing(EvaluatorProcess(target, config, directory, own)) as process:
            yield process
    else:
        yield None


def build_follower(config: ExperimentConfig, directory: Path, device: Device) -> Follower:
    """Build what a data-parallel rank other than 0 runs."""
    kind = find_kind(config.kind)
    follower: Follower = load(kind.follower or kind.build)(config, directory, device)
    return follower


def _resolve(config: ExperimentConfig) -> Device:
    """Check that the kind can be imported and the device exists, before anything is created on disk."""
    load(find_kind(config.kind).build)
    return device.resolve(config.device, config.precision, config.threads)


@contextlib.contextmanager
def _cluster(config: ExperimentConfig, resolved: Device) -> Iterator[None]:
    """The cluster that a run with workers or several learners is connected to."""
    workers, learners = config.cluster.workers, config.cluster.learners
    if not config.cluster.used:
        yield
        return
    with load(CONNECT)(config.cluster, resolved) as connection:
        if workers:
            note = "" if config.reproducible_workers else "; runs with workers are not reproducible bit for bit"
            say(f"{workers} workers on {connection}{note}")
        elif learners > 1:
            say(f"{learners} learners on {connection}; the results equal those of one learner, except for rounding")
        else:
            say(f"an evaluator on {connection}")
        yield


def _train(config: ExperimentConfig, run_dir: RunDir, resolved: Device, actors: StartActors | None) -> int:
    if config.cluster.learners > 1:
        exit_code: int = load(LEARNERS)(config, run_dir, resolved)
    else:
        device.apply(resolved)
        random_state.seed_everything(config.seed)
        with contextlib.ExitStack() as stack:
            experiment = stack.enter_context(built(config, run_dir.path, resolved, actors))
            evaluator = stack.enter_context(evaluator_of(config, run_dir.path, resolved))
            sinks = []
            if config.cluster.has_workers:
                sinks.append(stack.enter_context(load(RAY_METRICS)(experiment.catalogue, run_dir.name)))
            exit_code = run(experiment, config, run_dir, evaluator=evaluator, sinks=sinks).exit_code
    _print_next(config, run_dir)
    return exit_code


def _how_to_go_on(config: ExperimentConfig, run_dir: RunDir) -> str:
    """What to do with a run that has reached its budget: a larger one trains nothing at a learning rate of 0."""
    training = getattr(config, "training", None) or getattr(config, "learner", None)
    zero_at = reaches_zero_at(training, training.period) if isinstance(training, ScheduledOptimizerConfig) else None
    if zero_at is not None and zero_at <= config.budget:
        return "its learning rate has reached 0, so a larger budget has no effect: start a new run to train longer"
    return f"train it further with `lab resume {run_dir.path} budget=N`"


def _print_next(config: ExperimentConfig, run_dir: RunDir) -> None:
    kind = find_kind(config.kind)
    verbs = load(kind.verbs_of)(config) if kind.verbs_of else kind.verbs
    shown = [*sorted(verbs, reverse=True), "show"]
    say_next(f"lab {verb} {run_dir.path}{_MORE_ARGUMENTS.get(verb, '')}" for verb in shown)
