"""Data-parallel training through Ray Train: every rank computes its rows of each batch, rank 0 owns the run.

Self-play workers belong to rank 0: they end with it, and a new rank 0 starts new ones.

The run directory must be on storage that both this process and rank 0 can access. The other ranks get the state from
rank 0 over the network and read only the data. When a rank dies, the collectives of the others fail or time out, and
within about half a minute a new group continues from the newest checkpoint. The iterations after it are lost.
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

from cluster.pool.connection import import_ray
from cluster.pool.placement import PlacementGroup, Resources, learner_resources, placement_timeout_s, worker_resources
from cluster.ray_metrics import RayMetricsSink
from lab.config.loading import from_settings
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from lab.run.data_parallel import RankZero
from lab.run.evaluator import Evaluator
from lab.run.experiment import Experiment, Follower
from lab.run.interrupt import Interrupt
from lab.run.run_dir import RunDir
from lab.terminal.consoles import Console
from lab.terminal.streams import say
from lab.train import device as devices
from lab.train import random_state
from lab.train.device import Device

MAX_FAILURES = 10  # groups lost in one call of this program; an error that recurs each time ends the run
_COLLECTIVE_TIMEOUT_S = 1800  # the other ranks wait in a collective while rank 0 evaluates and saves
_LOCK_TIMEOUT_S = 30.0  # for the exit of a killed rank 0
_POLL_S = 0.25


class Mailbox:
    """An actor through which rank 0 sends output and the result, and the driver sends a signal to stop."""

    def __init__(self) -> None:
        self._output: list[str] = []
        self._signal: int | None = None
        self._result: tuple[int, str] | None = None

    def put_output(self, text: str) -> None:
        self._output.append(text)

    def put_result(self, exit_code: int, error: str) -> None:
        self._result = (exit_code, error)

    def put_signal(self, number: int) -> None:
        self._signal = number

    def signal(self) -> int | None:
        """The signal that the driver received, if any."""
        return self._signal

    def take(self) -> tuple[str, tuple[int, str] | None]:
        """Output since the last call, and the exit code and error of the run once it has ended."""
        output, self._output = "".join(self._output), []
        return output, self._result


def train(config: ExperimentConfig, run_dir: RunDir, device: Device) -> int:
    """Train a created run on `cluster.learners` ranks of the connected cluster; returns the exit code.

    Raises UserError when the cluster lacks resources for them, and for all errors that end a run in one process.
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
    mailbox = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
    with Interrupt() as interrupt, tempfile.TemporaryDirectory() as storage:
        trainer = _trainer(config, run_dir, learners[0], mailbox, storage)
        failures: list[Exception] = []
        fitting = threading.Thread(target=_fit, args=(trainer, failures), daemon=True)
        fitting.start()
        signal_sent = False
        while fitting.is_alive():
            fitting.join(_POLL_S)
            say(ray.get(mailbox.take.remote())[0], end="")
            if interrupt.signal and not signal_sent:
                ray.get(mailbox.put_signal.remote(interrupt.signal))
                signal_sent = True
        output, result = ray.get(mailbox.take.remote())
        say(output, end="")
    ray.kill(mailbox)
    if result is None:
        raise UserError(_why(failures, run_dir))
    exit_code, error = result
    if error:
        raise UserError(error)
    return exit_code


def _trainer(config: ExperimentConfig, run_dir: RunDir, resources: Resources, mailbox: Any, storage: str) -> Any:
    # Read when ray.train is imported, and by the controller.
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # relative paths of data refer to the directory of the command
    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(config.cluster.place_timeout_s)
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    # After the loss of a node, a group may have to wait for another node; otherwise it starts at once.
    failures = FailureConfig(max_failures=MAX_FAILURES, controller_failure_limit=MAX_FAILURES)
    return TorchTrainer(
        rank_main,
        train_loop_config={
            "settings": config.model_dump(mode="json"),
            "run": str(run_dir.path.resolve()),
            "threads": resources.threads,
            "gpu": resources.gpus > 0,
            "mailbox": mailbox,
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
    except Exception as error:  # reported by the main thread
        failures.append(error)


def _why(failures: list[Exception], run_dir: RunDir) -> str:
    reason = str(failures[0]).strip().splitlines()[-1] if failures else "the ranks ended without an error"
    return f"the learners failed {MAX_FAILURES + 1} times, the last time with: {reason}; `lab resume {run_dir.path}`"


def rank_main(given: Mapping[str, Any]) -> None:
    """The program of every rank, within its process group."""
    from lab.run import data_parallel, launch
    from lab.train import collectives

    own, mailbox, path = collectives.ranks(), given["mailbox"], Path(given["run"])
    config = from_settings(given["settings"], "the run's configuration")
    experiment: Experiment | None = None
    follower: Follower | None = None
    evaluator: Evaluator | None = None
    error = ""
    with contextlib.ExitStack() as stack:
        try:
            resolved = _device(config, given)
            devices.apply(resolved)
            random_state.seed_everything(config.seed)
            if own.is_rank_zero:
                experiment = stack.enter_context(launch.built(config, path, resolved))
                evaluator = stack.enter_context(launch.evaluator_of(config, path, resolved))
            else:
                follower = launch.build_follower(config, path, resolved)
        except UserError as refusal:
            error = str(refusal)
        # If one rank cannot start, for example without the data, the others must not wait for it.
        errors = [found for found in own.all_gather_object(error) if found]
        if errors:
            if own.is_rank_zero:
                import_ray().get(mailbox.put_result.remote(2, errors[0]))
        elif experiment is not None:
            _run_rank_zero(data_parallel.RankZero(experiment), config, path, mailbox, evaluator)
        elif follower is not None:
            data_parallel.follow(follower)


def _device(config: ExperimentConfig, given: Mapping[str, Any]) -> Device:
    if not given["gpu"]:
        return replace(devices.resolve("cpu", config.precision), threads=given["threads"])
    from ray.train.torch import get_device

    return devices.resolve(str(get_device()), config.precision, config.threads)


def _run_rank_zero(
    experiment: RankZero, config: ExperimentConfig, path: Path, mailbox: Any, evaluator: Evaluator | None
) -> None:
    from lab.run.loop import run

    ray, interrupt, done = import_ray(), Interrupt(), threading.Event()
    listening = threading.Thread(target=_listen, args=(ray, mailbox, interrupt, done), daemon=True)
    listening.start()
    console = Console(file=_Output(mailbox), width=200, force_terminal=False)  # type: ignore[arg-type]
    exit_code, error = 2, ""
    try:
        # `experiment` ends the other ranks, also when the run directory cannot be opened.
        with experiment, RunDir.open(path) as run_dir:
            _lock(run_dir)
            with RayMetricsSink(experiment.catalogue, run_dir.name) as gauges:
                outcome = run(
                    experiment,
                    config,
                    run_dir,
                    console=console,
                    interrupt=interrupt,
                    evaluator=evaluator,
                    sinks=[gauges],
                )
            exit_code = outcome.exit_code
    except UserError as refusal:
        error = str(refusal)
    finally:
        done.set()
    ray.get(mailbox.put_result.remote(exit_code, error))


def _lock(run_dir: RunDir) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            return run_dir.lock()
        except UserError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)


def _listen(ray: Any, mailbox: Any, interrupt: Interrupt, done: threading.Event) -> None:
    """Pass the driver's signal to the run loop, which cannot receive signals outside the main thread."""
    while not done.wait(_POLL_S):
        number = ray.get(mailbox.signal.remote())
        if number is not None:
            interrupt.signal = signal.Signals(number)
            return


class _Output:
    """A file object whose text the driver prints."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox

    def write(self, text: str) -> int:
        self._mailbox.put_output.remote(text)
        return len(text)

    def flush(self) -> None:
        pass
