"""Hyperparameter search through Ray Tune; ASHA stops the worse trials early."""

import math
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.pool.connection import import_ray
from cluster.pool.placement import Resources
from cluster.sweeps.trial import MAX_FAILURES, POLL_INTERVAL_S, USER_ERROR, TrialProcess
from lab.run.interrupt import Interrupt
from lab.run.metrics import Catalogue
from lab.terminal.streams import say

_REDUCTION_FACTOR = 3
_MAX_VALUES = 3**9
_FINAL_CODES = (0, USER_ERROR, 130, 143)  # exit codes without a retry; 130 and 143: stopped by a signal
_STOP = ".stop"  # trials stop with a checkpoint while this file exists


@dataclass(frozen=True)
class TuneSearch:
    """Trials in `folder`. max_concurrent: None for as many as fit. resources: of each trial.

    grace_period: after 1, 3, 9 ... times this number of values of the metric only the best third of trials continues
    (ASHA, Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning"); None stops no trial.
    """

    folder: Path
    catalogue: Catalogue
    metric: str
    mode: str
    grace_period: int | None
    max_concurrent: int | None
    resources: Resources

    def run(self, commands: dict[str, list[str]], interrupt: Interrupt) -> set[str]:
        """Run the command of each trial; return the names of those that failed. A signal stops all with checkpoints."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stop = self.folder / _STOP
        results: list[Any] = []
        failures: list[Exception] = []

        def fit() -> None:
            try:
                results.extend(self._fit(commands, stop.exists))
            except Exception as error:  # raised again by the main thread
                failures.append(error)

        # In the main thread Tune would install its own signal handlers.
        thread = threading.Thread(target=fit, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_INTERVAL_S)
            if interrupt:
                stop.touch()
        stop.unlink(missing_ok=True)
        if failures:
            raise failures[0]
        return {result.config["trial"] for result in results if result.error}

    def _fit(self, commands: dict[str, list[str]], stopping: Callable[[], bool]) -> list[Any]:
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
        os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new output shows temporary folders
        import_ray()
        from ray import tune
        from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

        scheduler = FIFOScheduler()
        if self.grace_period is not None:
            scheduler = AsyncHyperBandScheduler(
                max_t=_MAX_VALUES, grace_period=self.grace_period, reduction_factor=_REDUCTION_FACTOR
            )
        trainable = tune.with_parameters(
            _trainable(), commands=commands, folder=str(self.folder), catalogue=self.catalogue, metric=self.metric
        )
        with tempfile.TemporaryDirectory() as storage:
            tuner = tune.Tuner(
                tune.with_resources(trainable, {"cpu": self.resources.cpus, "gpu": self.resources.gpus}),
                param_space={"trial": tune.grid_search(list(commands))},
                tune_config=tune.TuneConfig(
                    metric="value", mode=self.mode, scheduler=scheduler, max_concurrent_trials=self.max_concurrent
                ),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=storage,
                    verbose=0,
                    stop=_stopper(stopping),
                    callbacks=[_reporter()],
                    failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                    checkpoint_config=tune.CheckpointConfig(
                        checkpoint_at_end=False
                    ),  # the runs write their own checkpoints
                ),
            )
            return list(tuner.fit())


def _trainable() -> type:
    """A class: Tune waits for its `cleanup`, but kills a function."""
    from ray import tune

    class RunTrainable(tune.Trainable):
        """One `lab train` process; a step waits for the next value of the metric."""

        def setup(
            self,
            config: dict[str, Any],
            commands: Any = None,
            folder: str = "",
            catalogue: Any = None,
            metric: str = "",
        ) -> None:
            self._stop, self._metric = Path(folder) / _STOP, metric
            self._reported, self._latest = 0, {"value": float("nan"), "iteration": 0}
            self._process = TrialProcess(commands[config["trial"]], Path(folder) / config["trial"], catalogue)

        def step(self) -> dict[str, Any]:
            while True:
                code, entries = self._process.poll()
                found = [entry for entry in entries if self._metric in entry.metrics]
                if len(found) > self._reported:
                    entry, self._reported = found[self._reported], self._reported + 1
                    self._latest = {"value": entry.metrics[self._metric], "iteration": entry.iteration}
                    return self._latest
                if code is not None and code not in _FINAL_CODES:
                    raise RuntimeError(f"exit code {code}; see {self._process.log}")
                if code is not None or self._stop.exists():
                    return self._latest | {"done": True}
                time.sleep(POLL_INTERVAL_S)

        def cleanup(self) -> None:
            self._process.stop()

    return RunTrainable


def _stopper(stopping: Callable[[], bool]) -> Any:
    from ray import tune

    class Stopping(tune.Stopper):
        """Stops all trials once the sweep is stopped."""

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return stopping()

        def stop_all(self) -> bool:
            return stopping()

    return Stopping()


def _reporter() -> Any:
    from ray import tune

    class Reporter(tune.Callback):
        """Prints one line per trial that has ended."""

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            last = {"value": math.nan, "iteration": 0} | (trial.last_result or {})
            say(f"trial {trial.config['trial']}: {last['value']:.5g} at iteration {last['iteration']}")

    return Reporter()
