"""What `lab train` and `lab resume` share: everything is checked, then built, then handed to the run loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.config.loading import dump, load_run_config
from lab.config.registry import CONNECT, RAY_METRICS, find_kind, load
from lab.config.sections import ExperimentConfig
from lab.run import checkpoint
from lab.run.loop import run
from lab.run.run_dir import RunDir
from lab.train import device, random_state
from lab.train.device import Device

_NEEDED = {"predict": " INPUT", "export": " --out FILE.onnx"}  # what a verb takes besides the run


def start_run(config: ExperimentConfig, runs_dir: Path, name: str, *, overwrite: bool) -> int:
    """Create a run and train it; return the exit code."""
    resolved = _resolve(config)
    # The cluster first: where there is none, no run is created.
    with _cluster(config, resolved), RunDir.create(runs_dir, name, dump(config), overwrite) as run_dir:
        print(f"run {run_dir.name} in {run_dir.path}")
        return _train(config, run_dir, resolved)


def continue_run(path: Path, overrides: Sequence[str]) -> int:
    """Train a stopped run on, with the changes that a stopped run may have; return the exit code."""
    with RunDir.open(path) as run_dir:
        config = load_run_config(run_dir.config_path, overrides)
        resolved = _resolve(config)
        run_dir.lock()
        if overrides:
            run_dir.write_config(dump(config))
        if run_dir.finished:
            newest = next(checkpoint.newest_first(run_dir.checkpoints, print))
            checkpoint.settle_best(newest.path, newest.manifest.meta.get("best_at"), print)
            if run_dir.stopped_early:
                print(f"run {run_dir.name} ends early: {run_dir.stopped_early}")
                print(f"train it further with `lab resume {run_dir.path} evaluate.patience=N` (null: to its budget)")
            else:
                print(f"run {run_dir.name} is complete: its budget of {config.budget:,} is reached")
                print(f"train it further with `lab resume {run_dir.path} budget=N`")
            _print_next(config, run_dir)
            return 0
        print(f"continuing run {run_dir.name} in {run_dir.path}")
        with _cluster(config, resolved):
            return _train(config, run_dir, resolved)


def _resolve(config: ExperimentConfig) -> Device:
    """Find out what is missing before anything is created on disk."""
    load(find_kind(config.kind).build)
    return device.resolve(config.device, config.precision, config.threads)


@contextlib.contextmanager
def _cluster(config: ExperimentConfig, resolved: Device) -> Iterator[None]:
    """The cluster of a run that takes place on one."""
    workers, learners = config.cluster.workers, config.cluster.learners
    if not config.cluster.used:
        yield
        return
    with load(CONNECT)(config.cluster, resolved) as connection:
        if workers:
            print(f"{workers} workers on {connection}; with workers no two runs are bit for bit the same")
        elif learners > 1:
            print(f"{learners} learners on {connection}; they train what one does, but for rounding")
        else:
            print(f"an evaluator on {connection}")
        yield


def _train(config: ExperimentConfig, run_dir: RunDir, resolved: Device) -> int:
    if config.cluster.learners > 1:
        exit_code: int = load(find_kind(config.kind).learners)(config, run_dir, resolved)
        _print_next(config, run_dir)
        return exit_code
    device.apply(resolved)
    random_state.seed_everything(config.seed)
    experiment = load(find_kind(config.kind).build)(config, run_dir.path, resolved)
    with contextlib.ExitStack() as stack:
        sinks = []
        if config.cluster.hires:
            stack.callback(experiment.close)
            sinks.append(stack.enter_context(load(RAY_METRICS)(experiment.catalogue, run_dir.name)))
        outcome = run(experiment, config, run_dir, sinks=sinks)  # says how it ended and how to go on
    _print_next(config, run_dir)
    return outcome.exit_code


def _print_next(config: ExperimentConfig, run_dir: RunDir) -> None:
    kind = find_kind(config.kind)
    verbs = load(kind.verbs_of)(config) if kind.verbs_of else kind.verbs
    shown = [*sorted(verbs, reverse=True), "show"]
    print("next: " + " | ".join(f"lab {verb} {run_dir.path}{_NEEDED.get(verb, '')}" for verb in shown))
