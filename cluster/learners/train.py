"""Training on several ranks through Ray Train: each computes its share of every batch, the first one owns the run.

Workers that play, if there are any, are the first rank's: they end with it, and the next one starts others.

The run directory must be on storage that this process and rank 0 both see; the other ranks get the state from rank 0
over the network, and read nothing but the data. When a rank dies, the survivors' collectives fail or are cut off, and
within about half a minute a new group continues from the newest checkpoint: what is lost is the iterations since.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from cluster.pool.connection import import_ray
from cluster.pool.placement import PlacementGroup, Resources, learner_resources, placement_timeout_s, worker_resources
from cluster.ray_metrics import RayMetricsSink
from lab.config.loading import from_settings
from lab.config.registry import find_kind, load
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from lab.run.interrupt import Interrupt
from lab.run.run_dir import RunDir
from lab.train import device as devices
from lab.train import random_state
from lab.train.device import Device

MAX_FAILURES = 10  # groups lost in one call of this program; an error that comes back each time ends the run
_COLLECTIVE_TIMEOUT_S = 1800  # the other ranks wait in one while rank 0 grades and saves
_LOCK_PATIENCE_S = 30.0  # for a killed rank 0 to be gone
_LOOK_S = 0.25


class Desk:
    """Where rank 0 and the process that the person sees leave word for each other."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._signal: int | None = None
        self._outcome: tuple[int, str] | None = None

    def say(self, text: str) -> None:
        self._lines.append(text)

    def end(self, exit_code: int, error: str) -> None:
        self._outcome = (exit_code, error)

    def stop(self, number: int) -> None:
        self._signal = number

    def asked(self) -> int | None:
        """The signal by which a person wants the run to stop."""
        return self._signal

    def news(self) -> tuple[str, tuple[int, str] | None]:
        """What was said since the last call, and how the run ended if it has: exit code and error."""
        said, self._lines = "".join(self._lines), []
        return said, self._outcome


def train(config: ExperimentConfig, run_dir: RunDir, device: Device) -> int:
    """Train a created run on `cluster.learners` ranks of the cluster this process is connected to; the exit code.

    Raises UserError when there is no room for them, or for what ends a run in one process too.
    """
    ray = import_ray()
    learners, workers = learner_resources(config.cluster, device), worker_resources(config.cluster, device)
    local = config.cluster.address is None and "RAY_ADDRESS" not in os.environ
    keys = ("learners", "workers") if workers else ("learners",)
    PlacementGroup(learners + workers, placement_timeout_s(config.cluster, local), keys).close()
    run_dir.started()
    run_dir.close()  # rank 0 locks it
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    desk = ray.remote(num_cpus=0, scheduling_strategy=here)(Desk).remote()
    with Interrupt() as interrupt, tempfile.TemporaryDirectory() as storage:
        trainer = _trainer(config, run_dir, learners[0], desk, storage)
        failures: list[Exception] = []
        fitting = threading.Thread(target=_fit, args=(trainer, failures), daemon=True)
        fitting.start()
        told = False
        while fitting.is_alive():
            fitting.join(_LOOK_S)
            print(ray.get(desk.news.remote())[0], end="", flush=True)
            if interrupt.signal and not told:
                ray.get(desk.stop.remote(interrupt.signal))
                told = True
        said, outcome = ray.get(desk.news.remote())
        print(said, end="", flush=True)
    ray.kill(desk)
    if outcome is None:
        raise UserError(_why(failures, run_dir))
    exit_code, error = outcome
    if error:
        raise UserError(error)
    return exit_code


def _trainer(config: ExperimentConfig, run_dir: RunDir, resources: Resources, desk: Any, storage: str) -> Any:
    # Read when ray.train is imported, and by the controller.
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # data is found from where the command was given
    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(config.cluster.place_timeout_s)
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    # Outside a node's death a group finds room at once; where a node went, it may have to wait for another.
    failures = FailureConfig(max_failures=MAX_FAILURES, controller_failure_limit=MAX_FAILURES)
    return TorchTrainer(
        rank_main,
        train_loop_config={
            "settings": config.model_dump(mode="json"),
            "run": str(run_dir.path.resolve()),
            "threads": resources.threads,
            "gpu": resources.gpus > 0,
            "desk": desk,
        },
        scaling_config=ScalingConfig(
            num_workers=config.cluster.learners, use_gpu=resources.gpus > 0, resources_per_worker=resources.bundle
        ),
        torch_config=TorchConfig(backend="nccl" if resources.gpus else "gloo", timeout_s=_COLLECTIVE_TIMEOUT_S),
        run_config=RunConfig(
            name="ranks", storage_path=storage, failure_config=failures, logging_config=LoggingConfig("CRITICAL")
        ),
    )


def _fit(trainer: Any, failures: list[Exception]) -> None:
    try:
        trainer.fit()
    except Exception as error:  # told by the main thread, which has the person's attention
        failures.append(error)


def _why(failures: list[Exception], run_dir: RunDir) -> str:
    reason = str(failures[0]).strip().splitlines()[-1] if failures else "the ranks ended without a word"
    return f"the learners failed {MAX_FAILURES + 1} times, the last time with: {reason}; `lab resume {run_dir.path}`"


def rank_main(given: Mapping[str, Any]) -> None:
    """What every rank runs, within its process group."""
    from lab.run import data_parallel
    from lab.train import collectives

    mine, desk = collectives.ranks(), given["desk"]
    config = from_settings(given["settings"], "the run's configuration")
    experiment, error = None, ""
    try:
        resolved = _device(config, given)
        devices.apply(resolved)
        random_state.seed_everything(config.seed)
        experiment = load(find_kind(config.kind).build)(config, Path(given["run"]), resolved)
    except UserError as refusal:
        error = str(refusal)
    with contextlib.ExitStack() as stack:
        if experiment is not None and mine.is_rank_zero and config.cluster.hires:
            stack.callback(experiment.close)
        # One that cannot begin, say without the data, must not leave the others waiting.
        errors = [found for found in mine.all_gather_object(error) if found]
        if errors or experiment is None:
            if mine.is_rank_zero:
                import_ray().get(desk.end.remote(2, errors[0]))
        elif mine.is_rank_zero:
            _lead(data_parallel.Leading(experiment), config, Path(given["run"]), desk)
        else:
            data_parallel.follow(experiment)


def _device(config: ExperimentConfig, given: Mapping[str, Any]) -> Device:
    if not given["gpu"]:
        return replace(devices.resolve("cpu", config.precision), threads=given["threads"])
    from ray.train.torch import get_device

    return devices.resolve(str(get_device()), config.precision, config.threads)


def _lead(experiment: Any, config: ExperimentConfig, path: Path, desk: Any) -> None:
    from lab.run.loop import run

    ray, interrupt, done = import_ray(), Interrupt(), threading.Event()
    listening = threading.Thread(target=_listen, args=(ray, desk, interrupt, done), daemon=True)
    listening.start()
    console = Console(file=_Said(desk), width=200, highlight=False, force_terminal=False)  # type: ignore[arg-type]
    exit_code, error = 2, ""
    try:
        # The ranks are let go of last, also where the run cannot be opened.
        with experiment, RunDir.open(path) as run_dir:
            _lock(run_dir)
            with RayMetricsSink(experiment.catalogue, run_dir.name) as gauges:
                outcome = run(experiment, config, run_dir, console=console, interrupt=interrupt, sinks=[gauges])
            exit_code = outcome.exit_code
    except UserError as refusal:
        error = str(refusal)
    finally:
        done.set()
    ray.get(desk.end.remote(exit_code, error))


def _lock(run_dir: RunDir) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            return run_dir.lock()
        except UserError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_S)


def _listen(ray: Any, desk: Any, interrupt: Interrupt, done: threading.Event) -> None:
    """Passes a person's signal on to the run loop, which is not in the main thread here and gets none itself."""
    while not done.wait(_LOOK_S):
        asked = ray.get(desk.asked.remote())
        if asked is not None:
            interrupt.signal = signal.Signals(asked)
            return


class _Said:
    """A file whose lines are printed by the process that the person sees."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def write(self, text: str) -> int:
        self._desk.say.remote(text)
        return len(text)

    def flush(self) -> None:
        pass
